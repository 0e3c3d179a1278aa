import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startKafkaCluster } from '../../faults/kafka-cluster.ts';
import { startPostgresServer } from '../../faults/postgres-server.ts';
import { DebeziumPeer } from '../debezium/peer.ts';
import { debeziumRuntime } from '../debezium/runtime.ts';
import { describeMachine } from '../machine.ts';
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
      help: { type: 'boolean', default: false },
    },
  });
  const modes = MODES.filter((mode) => values.delivery === undefined || values.delivery === mode);
  if (modes.length === 0) throw new Error(USAGE);
  const parts = positionals.length === 0 ? ['drain', 'latency', 'idle'] : positionals;
  const peerless = values.peer === undefined;
  if (!peerless && (values.peer !== 'debezium' || !parts.includes('drain'))) throw new Error(USAGE);
  return { values, modes, parts, peerless };
}

type Options = ReturnType<typeof parse>;

/** `npm run bench -- relay …`: a table for people, and one line of JSON per figure. */
export async function benchmarkRelay(args: readonly string[]): Promise<void> {
  const options = parse(args);
  if (options.values.help) {
    console.log(USAGE);
    return;
  }
  // First: nothing runs yet when something is missing.
  const debezium = options.peerless ? null : await debeziumRuntime((line) => console.error(line));
  const folder = mkdtempSync(join(tmpdir(), 'genesis-bench-'));
  const running: { stop(): Promise<void> }[] = [];
  const started = <Server extends { stop(): Promise<void> }>(server: Server): Server => {
    running.unshift(server);
    return server;
  };
  try {
    const postgres = started(await startPostgresServer(join(folder, 'postgres')));
    const cluster = started(await startKafkaCluster({ brokers: 1, folder, heap: 512 }));
    const machine = await describeMachine(postgres.url('postgres'));
    console.log(
      `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, PostgreSQL ${machine.postgres}, Kafka ${machine.kafka}\n`,
    );
    const report = (figures: object): void => console.log(JSON.stringify({ benchmark: 'relay', ...figures, machine }));
    const stage: Stage = { postgres, cluster, folder, report };
    const peer = debezium === null ? null : started(await DebeziumPeer.start(stage, debezium));
    await measure(stage, options, peer);
  } finally {
    await Promise.allSettled(running.map((server) => server.stop()));
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

async function measure(stage: Stage, { values, modes, parts }: Options, peer: DebeziumPeer | null): Promise<void> {
  for (const part of parts) {
    if (part === 'drain') {
      await measureDrain(stage, { modes, events: Number(values.events), rounds: Number(values.rounds), peer });
      console.log(`\n${PEERS.drain}\n`);
    } else if (part === 'latency') {
      await measureLatency(stage, { modes, seconds: Number(values.seconds), rates: [1_000, 5_000] });
      console.log(`\n${PEERS.latency}\n`);
    } else if (part === 'idle') {
      await measureIdle(stage, { modes });
    } else if (part === 'soak') {
      const delivery = modes[0] ?? 'at-least-once';
      const openTransaction = values['open-transaction'];
      await measureSoak(stage, {
        rows: Number(values.rows),
        payload: Number(values.payload),
        openTransaction,
        delivery,
      });
    } else if (part === 'held') {
      for (const delivery of modes) {
        await measureHeld(stage, { rows: Number(values.rows), payload: Number(values.payload), delivery });
      }
    } else throw new Error(`there is no part ${part}\n${USAGE}`);
  }
}
