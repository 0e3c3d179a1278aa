import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { SessionId } from '../../src/genesis/ids.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import type { OutgoingRecord } from '../../src/relay/ports.ts';

/*
 * One transactional id for all partitions, against one for each, driven at once in one process. A batch has so many records over
 * all partitions; with an id for each it is so many transactions, a part of it in each. Interleaved: trust the ratios.
 *
 *   node benchmarks/transactions/measure.ts host:port
 */

const PARTITIONS = 8;
/** Milliseconds that each figure is measured for. */
const DURATION = 3_000;
const ROUNDS = 2;
const PAYLOAD = JSON.stringify({ text: 'x'.repeat(700) });

interface Lane {
  readonly publisher: KafkaTransactionalPublisher;
  readonly partitions: readonly number[];
}

interface Figures {
  readonly records: number;
  readonly transactions: number;
  /** Milliseconds from the send's beginning to the commit's answer, ascending. */
  readonly durations: readonly number[];
  readonly milliseconds: number;
  /** Of this process, in microseconds. */
  readonly cpu: number;
}

const brokers = (process.argv[2] ?? '127.0.0.1:9092').split(',');
const topic = `benchmark-transactions-${randomUUID()}`;
const { signal } = new AbortController();

function record(partition: number, sequence: number): OutgoingRecord {
  const id = '01890000-0000-7000-8000-000000000001';
  const headers = {
    ...{ ce_id: id, ce_source: '/genesis/sessions', ce_type: 'Genesis.Session.Submitted', ce_specversion: '1.0' },
    ...{ ce_time: new Date(0).toISOString(), ce_subject: id, 'content-type': 'application/json' },
    ...{ sequence: String(sequence), previous: id },
  };
  return { topic, key: id as SessionId, shard: partition, payload: PAYLOAD, headers };
}

function batch(partitions: readonly number[], size: number): OutgoingRecord[] {
  return Array.from({ length: size }, (_, index) => record(partitions[index % partitions.length] ?? 0, index));
}

async function openLanes(kind: 'one' | 'each'): Promise<Lane[]> {
  const all = Array.from({ length: PARTITIONS }, (_, partition) => partition);
  const shares = kind === 'one' ? [all] : all.map((partition) => [partition]);
  return Promise.all(
    shares.map(async (partitions) => {
      const publisher = new KafkaTransactionalPublisher({ brokers, topic });
      await publisher.open(`${topic}-${kind}-${partitions[0]}`, signal);
      return { publisher, partitions };
    }),
  );
}

/** `next` gives how many records a lane sends now: 0 to look again a millisecond later. */
async function drive(lanes: readonly Lane[], next: (lane: number, elapsed: number) => number): Promise<Figures> {
  const durations: number[] = [];
  let records = 0;
  const cpu = process.cpuUsage();
  const began = performance.now();
  await Promise.all(
    lanes.map(async ({ publisher, partitions }, lane) => {
      for (let now = began; now - began < DURATION; now = performance.now()) {
        const size = next(lane, now - began);
        if (size === 0) {
          await delay(1);
          continue;
        }
        const outcomes = await publisher.send(batch(partitions, size));
        const bad = outcomes.find(({ kind }) => kind !== 'acknowledged');
        if (bad !== undefined) throw new Error(JSON.stringify(bad));
        durations.push(performance.now() - now);
        records += size;
      }
    }),
  );
  const { user, system } = process.cpuUsage(cpu);
  const milliseconds = performance.now() - began;
  return {
    records,
    transactions: durations.length,
    durations: durations.sort((a, b) => a - b),
    milliseconds,
    cpu: user + system,
  };
}

/** A backlog: there is always a whole batch. */
function backlog(lanes: readonly Lane[], size: number): Promise<Figures> {
  return drive(lanes, () => Math.ceil(size / lanes.length));
}

/** So many records come in a second, evenly; each transaction takes what has come. */
function offered(lanes: readonly Lane[], perSecond: number): Promise<Figures> {
  const taken = lanes.map(() => 0);
  const share = perSecond / lanes.length / 1_000;
  return drive(lanes, (lane, elapsed) => {
    const come = Math.floor(elapsed * share) - (taken[lane] ?? 0);
    taken[lane] = (taken[lane] ?? 0) + come;
    return come;
  });
}

function tell(name: string, { records, transactions, durations, milliseconds, cpu }: Figures): void {
  const at = (quantile: number) => (durations[Math.floor(quantile * durations.length)] ?? 0).toFixed(1);
  const perSecond = (count: number) => Math.round((count / milliseconds) * 1_000);
  const share = Math.round(cpu / milliseconds / 10);
  console.log(
    [
      name.padEnd(36),
      `${perSecond(records)} records/s`.padStart(16),
      `${perSecond(transactions)} tx/s`.padStart(10),
      `p50 ${at(0.5)} ms`.padStart(14),
      `p99 ${at(0.99)} ms`.padStart(14),
      `CPU ${share} %`.padStart(10),
      `${(cpu / records).toFixed(1)} µs/record`.padStart(16),
    ].join(''),
  );
}

await ensureTopic({ brokers, topic }, { partitions: PARTITIONS, replicationFactor: 1, minInsyncReplicas: 1 });
const contenders = [
  { name: '1 id', lanes: await openLanes('one') },
  { name: `${PARTITIONS} ids`, lanes: await openLanes('each') },
];
for (const { lanes } of contenders) await backlog(lanes, 100);
for (let round = 0; round < ROUNDS; round += 1) {
  for (const size of [2_000, 500, 100]) {
    for (const { name, lanes } of contenders) tell(`${name}, backlog, batches of ${size}`, await backlog(lanes, size));
  }
  for (const perSecond of [1_000, 5_000]) {
    for (const { name, lanes } of contenders)
      tell(`${name}, ${perSecond} records/s offered`, await offered(lanes, perSecond));
  }
}
for (const { publisher } of contenders.flatMap(({ lanes }) => lanes)) await publisher.close();
