import { startStutter } from './program.ts';
import type { Fault } from './fault.ts';

/** More than any process needs. */
const LEAK = `--import=data:text/javascript,globalThis.leak=Buffer.alloc(1.2e9,1)`;

const apiKilled: Fault = {
  about: 'the only API is killed',
  alerts: ['GenesisApiAbsent'],
  strike: (stage) => stage.programs.api.kill(),
  heal: (stage) => stage.start('api'),
};

const relayKilled: Fault = {
  about: 'the only relay is killed',
  alerts: ['GenesisNoRelay', 'GenesisProcessDown'],
  strike: (stage) => stage.programs.relay.kill(),
  heal: (stage) => stage.start('relay'),
};

const reconcileKilled: Fault = {
  about: 'genesis reconcile --follow is killed',
  alerts: ['GenesisReconcileStale'],
  strike: (stage) => stage.programs.reconcile.kill(),
  heal: (stage) => stage.start('reconcile'),
};

const otherMode: Fault = {
  about: 'a second relay is started with another RELAY_DELIVERY',
  alerts: ['GenesisRelayRefused'],
  strike: (stage) => stage.start('otherRelay', { env: { RELAY_DELIVERY: 'exactly-once' } }),
  async heal(stage) {
    await stage.stop('otherRelay');
    stage.watch('otherRelay', false);
  },
};

const littleCpu: Fault = {
  about: 'the API gets CPU for a quarter of the time (SIGSTOP, SIGCONT)',
  alerts: ['GenesisEventLoopDelayed'],
  strike: async (stage) => stage.programs.api.stutter(300, 100),
  heal: (stage) => stage.programs.api.calm(),
};

const leak: Fault = {
  about: 'the API keeps 1.2 GB of memory',
  alerts: ['GenesisMemoryHigh'],
  async strike(stage) {
    await stage.stop('api');
    await stage.start('api', { env: { NODE_OPTIONS: LEAK } });
  },
  async heal(stage) {
    await stage.stop('api');
    await stage.start('api');
  },
};

/** Who waits at the door has a tenth of a second: not enough for all of 150 clients. */
const SLOW_API = { COMMAND_BATCH_MAX: '1', COMMAND_TRANSACTIONS: '1', REQUEST_TIMEOUT: '0.5' };

function overload(): Fault {
  const over = new AbortController();
  let flood: Promise<void> = Promise.resolve();
  return {
    about:
      '150 clients send as fast as they are answered; COMMAND_QUEUE_MAX is 40, one command a transaction, REQUEST_TIMEOUT 0.5 s',
    alerts: ['GenesisCommandsOverloaded'],
    async strike(stage) {
      await stage.stop('api');
      await stage.start('api', { env: SLOW_API });
      flood = stage.clients.flood('commands', 150, over.signal);
    },
    async heal(stage) {
      over.abort();
      await flood;
      await stage.stop('api');
      await stage.start('api');
    },
  };
}

const brokerKilled: Fault = {
  about: 'the only broker is killed',
  alerts: ['GenesisBrokerUnavailable', 'GenesisEventsDelayed'],
  strike: (stage) => stage.cluster.node(1).kill('SIGKILL'),
  heal: (stage) => stage.cluster.node(1).start(),
};

function slowBroker(): Fault {
  let stutter: ReturnType<typeof startStutter> | null = null;
  return {
    about: 'the broker is frozen for 1.5 s again and again (SIGSTOP, SIGCONT)',
    alerts: ['GenesisPublishLatencyHigh'],
    async strike(stage) {
      stutter = startStutter(stage.cluster.node(1).pid(), 1_500, 300);
    },
    async heal() {
      if (stutter !== null) stutter.stopping = true;
      await stutter?.ended;
    },
  };
}

export const PROCESS_FAULTS: readonly Fault[] = [
  apiKilled,
  relayKilled,
  brokerKilled,
  slowBroker(),
  otherMode,
  littleCpu,
  leak,
  overload(),
  reconcileKilled,
];
