import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyProbe, type LatencySummary } from '../../faults/latency.ts';
import { TopicTail } from '../../faults/topic-tail.ts';
import { until } from '../../faults/until.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { cpuOf, cpuOfFamily } from '../api/cpu.ts';
import { applyLoad } from '../end-to-end/load.ts';
import { untilDrained } from '../genesis.ts';
import { postCommands } from '../poster.ts';
import type { Servers } from '../servers.ts';
import type { Contender } from './contenders.ts';

export interface CommandFigures {
  /** Accepted commands per second. */
  readonly perSecond: number;
  readonly refused: number;
  /** Milliseconds from the request to its answer. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of CPU for each command. */
  readonly cpu: { readonly api: number; readonly postgres: number };
}

/** Commands over HTTP, without a relay beside them: each connection sends its next when the last was answered. */
export async function measureCommands(
  { postgres }: Servers,
  { address, pid, sessionsFile }: Contender,
  connections: number,
  seconds: number,
): Promise<CommandFigures> {
  const spent = () => ({ api: cpuOf(pid), postgres: cpuOfFamily(postgres.pid()) });
  const before = spent();
  // Which commands were accepted matters to nobody here.
  const load = await applyLoad({ address, sessionsFile, answersFile: '/dev/null', connections, seconds, rate: null });
  const after = spent();
  const each = (part: keyof typeof before): number => (after[part] - before[part]) / Math.max(1, load.accepted);
  return {
    perSecond: load.accepted / load.seconds,
    refused: load.refused,
    p50: load.p50,
    p99: load.p99,
    cpu: { api: each('api'), postgres: each('postgres') },
  };
}

/** What is in the way of the next measurement is sent, whatever it takes. */
export async function clear({ startRelay, database }: Contender): Promise<void> {
  const stop = await startRelay();
  await untilDrained(database, 600_000);
  await stop();
}

/** Events per second of a backlog: from the first record in the topic to the last row marked. */
export async function measureDrain(contender: Contender, events: number): Promise<number> {
  const { kafka, database, fill, startRelay } = contender;
  const reader = new CommittedRecords(kafka, { clientId: 'bench' });
  const published = async (): Promise<number> => {
    const ranges = await reader.ranges();
    return ranges.reduce((sum, { end }) => sum + Number(end), 0);
  };
  try {
    await fill(events);
    await database.query('VACUUM ANALYZE event_outbox');
    const before = await published();
    const stop = await startRelay();
    await until('the first record', async () => (await published()) > before, { every: 2 });
    const began = performance.now();
    await until('the last record', async () => (await published()) >= before + events, { every: 50, within: 600_000 });
    await untilDrained(database);
    const seconds = (performance.now() - began) / 1_000;
    await stop();
    return events / seconds;
  } finally {
    await reader.close();
  }
}

/** Milliseconds that an event may take to arrive: longer than the textbook's relay sleeps. */
const LATEST = 30_000;

export interface LatencyFigures extends LatencySummary {
  readonly refused: number;
  /** Events that never came. */
  readonly missed: number;
}

/** From the answer to a command to its event at a consumer, at a constant rate. */
export async function measureLatency(contender: Contender, rate: number, seconds: number): Promise<LatencyFigures> {
  const { address, authors, kafka, startRelay, relayIsReady } = contender;
  const probe = new LatencyProbe();
  const tail = new TopicTail(kafka, ({ value }) => probe.arrived(commandOf(value), 0));
  await tail.start();
  try {
    const stop = await startRelay();
    await relayIsReady();
    const post = (length: number, onAccepted: (commandId: string) => void) =>
      postCommands({ address, authors, rate, seconds: length, onAccepted });
    // Not counted: caches and plans are cold.
    await post(2, (commandId) => probe.ignore(commandId));
    await sleep(200);
    const { accepted, refused } = await post(seconds, (commandId) => probe.committed(commandId, 0));
    await untilArrived(probe, accepted);
    await stop();
    const summary = probe.summary();
    return { ...summary, refused, missed: accepted - summary.samples };
  } finally {
    await tail.stop();
  }
}

/** Waits for all, but not for ever: what is missing then is told. */
async function untilArrived(probe: LatencyProbe, accepted: number): Promise<void> {
  const deadline = performance.now() + LATEST;
  while (probe.summary().samples < accepted && performance.now() < deadline) await sleep(50);
}

function commandOf(value: string | null): string {
  return (JSON.parse(value ?? '{}') as { correlation_id?: string }).correlation_id ?? '';
}
