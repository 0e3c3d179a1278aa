import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafkaCluster } from '../../faults/kafka-cluster.ts';
import { startPostgresServer } from '../../faults/postgres-server.ts';
import { runClosing } from '../closing.ts';
import { DebeziumPeer } from '../debezium/peer.ts';
import { debeziumRuntime } from '../debezium/runtime.ts';
import { describeMachine } from '../machine.ts';
import { positive, readOptions, whole } from '../options.ts';
import { measureDrain } from './drain.ts';
import { measureHeld } from './held.ts';
import { measureIdle } from './idle.ts';
import { measureLatency } from './latency.ts';
import { PEERS } from './peers.ts';
import { measureSoak } from './soak.ts';
import type { Stage } from './stage.ts';

const USAGE = `npm run bench -- relay [drain] [latency] [idle]      default: all three
       --events N        rows of the backlog (200000)
       --rounds N        interleaved rounds of the drain (3)
       --seconds N       of each load of the latency (20)
       --delivery MODE   at-least-once | exactly-once (default: both)
       --peer debezium   the drain's backlog through Debezium, too, in each round: a textbook outbox in a second PostgreSQL
                         (wal_level=logical), Kafka Connect standalone with the outbox event router, the same broker; timed like
                         the relay, from the first record to the last. Needs Java 17 and, once, Maven
npm run bench -- relay soak --rows N [--open-transaction] [--payload BYTES] [--delivery MODE]
       rows through the table, writers and relay at once: is the last claim as quick as the first?
npm run bench -- relay held --rows N [--delivery MODE]
       so many rows wait behind a FAILED one: are the claims of other sessions as quick as before?`;

const MODES = ['at-least-once', 'exactly-once'] as const;
const PARTS: readonly string[] = ['drain', 'latency', 'idle', 'soak', 'held'];

function parse(args: readonly string[]) {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      events: { type: 'string', default: '200000' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '20' },
      delivery: { type: 'string' },
      peer: { type: 'string' },
      rows: { type: 'string', default: '1000000' },
      payload: { type: 'string', default: '300' },
      'open-transaction': { type: 'boolean', default: false },
    },
  });
  const modes = MODES.filter((mode) => values.delivery === undefined || values.delivery === mode);
  if (modes.length === 0) throw new Error(`--delivery '${values.delivery}': ${MODES.join(' or ')}`);
  const parts = positionals.length === 0 ? ['drain', 'latency', 'idle'] : positionals;
  const unknown = parts.find((part) => !PARTS.includes(part));
  if (unknown !== undefined) throw new Error(`there is no part '${unknown}': ${PARTS.join(', ')}`);
  const peerless = values.peer === undefined;
  if (!peerless && values.peer !== 'debezium') throw new Error(`--peer '${values.peer}': debezium is the only one`);
  if (!peerless && !parts.includes('drain')) throw new Error('--peer is for the drain');
  const figures = {
    events: whole('events', values.events),
    rounds: whole('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    rows: whole('rows', values.rows),
    payload: whole('payload', values.payload),
    openTransaction: values['open-transaction'],
  };
  return { figures, modes, parts, peerless };
}

type Options = ReturnType<typeof parse>;

/** `npm run bench -- relay …`: a table for people, and one line of JSON per figure. */
export async function benchmarkRelay(args: readonly string[]): Promise<void> {
  const options = readOptions(USAGE, args, parse);
  if (options === null) return undefined;
  // First: nothing runs yet when something is missing.
  const debezium = options.peerless ? null : await debeziumRuntime((line) => console.error(line));
  return runClosing(async (closing, folder) => {
    const started = <Server extends { stop(): Promise<unknown> }>(start: () => Promise<Server>): Promise<Server> =>
      closing.open(start, (server) => server.stop());
    const postgres = await started(() => startPostgresServer(join(folder, 'postgres')));
    const cluster = await started(() => startKafkaCluster({ brokers: 1, folder, heap: 512 }));
    const machine = await describeMachine(postgres.url('postgres'));
    console.log(
      `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, PostgreSQL ${machine.postgres}, Kafka ${machine.kafka}\n`,
    );
    const report = (figures: object): void => console.log(JSON.stringify({ benchmark: 'relay', ...figures, machine }));
    const stage: Stage = { postgres, cluster, folder, report };
    const peer = debezium === null ? null : await started(() => DebeziumPeer.start(stage, debezium));
    await measure(stage, options, peer);
  });
}

async function measure(stage: Stage, { figures, modes, parts }: Options, peer: DebeziumPeer | null): Promise<void> {
  const { events, rounds, seconds, rows, payload, openTransaction } = figures;
  for (const part of parts) {
    if (part === 'drain') {
      await measureDrain(stage, { modes, events, rounds, peer });
      console.log(`\n${PEERS.drain}\n`);
    } else if (part === 'latency') {
      await measureLatency(stage, { modes, seconds, rates: [1_000, 5_000] });
      console.log(`\n${PEERS.latency}\n`);
    } else if (part === 'idle') {
      await measureIdle(stage, { modes });
    } else if (part === 'soak') {
      await measureSoak(stage, { rows, payload, openTransaction, delivery: modes[0] ?? 'at-least-once' });
    } else {
      for (const delivery of modes) await measureHeld(stage, { rows, payload, delivery });
    }
  }
}
