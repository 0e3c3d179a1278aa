import { Producer, type ProduceResult, type ProducerOptions, type SendOptions } from '@platformatic/kafka';
import { partitionName } from './partition-name.ts';
import type { OutgoingRecord, RecordOutcome } from '../relay/ports.ts';
import type { PartitionAnswer } from './classify-error.ts';
import { encodingFault } from './encoding-fault.ts';
import { encodeRecords } from './produce-requests.ts';
import type { EncodableRecord } from './record-encoder.ts';

/** Its messages have records as values, which hold key and headers too. */
export type TextProducer = Producer<string, EncodableRecord, string, string>;

/** What became of each partition of a send, by `topic:partition`; of one that is missing nothing is known. */
export type Answers = ReadonlyMap<string, PartitionAnswer>;

/** A producer, or a transaction of one. */
interface Sender {
  send(options: SendOptions<string, EncodableRecord, string, string>): Promise<ProduceResult>;
}

type Unavailable = Extract<RecordOutcome, { kind: 'unavailable' }>;

export function createProducer(
  options: Omit<ProducerOptions<string, EncodableRecord, string, string>, 'serializers'>,
): TextProducer {
  const producer: TextProducer = new Producer(options);
  encodeRecords(producer);
  return producer;
}

export function partitionOf(record: Pick<OutgoingRecord, 'topic' | 'shard'>): string {
  return partitionName(record.topic, record.shard);
}

/** By partition, because of a batch nothing may be sent when one of its records cannot be. */
export function encodingFaults(records: readonly OutgoingRecord[]): ReadonlyMap<string, string> {
  const faults = new Map<string, string>();
  for (const record of records) {
    const fault = encodingFault(record);
    if (fault !== null) faults.set(partitionOf(record), `cannot be encoded: ${fault}`);
  }
  return faults;
}

/** Without the batches of which nothing may be sent. */
export function withoutFaults(
  records: readonly OutgoingRecord[],
  faults: ReadonlyMap<string, string>,
): readonly OutgoingRecord[] {
  return faults.size === 0 ? records : records.filter((record) => !faults.has(partitionOf(record)));
}

/** Sends the records, in order. @throws the client's errors; see `readProduceFailure` */
export async function produce(sender: Sender, records: readonly OutgoingRecord[]): Promise<Answers> {
  const result = await sender.send({
    messages: records.map((record) => ({ topic: record.topic, partition: record.shard, value: record })),
  });
  const answers = new Map<string, PartitionAnswer>();
  for (const { topic, partition, offset } of result.offsets ?? []) {
    answers.set(partitionName(topic, partition), { kind: 'acknowledged', baseOffset: offset });
  }
  return answers;
}

/** Why no record of the send can be routed: a shard that its topic does not have. The client would take it modulo the count. */
export async function missingPartition(
  producer: TextProducer,
  records: readonly OutgoingRecord[],
): Promise<Unavailable | null> {
  const metadata = await producer.metadata({ topics: topicsOf(records) });
  for (const { topic, shard } of records) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
    if (shard < count) continue;
    const error = `topic ${topic} has ${count} partitions, there is no partition ${shard}`;
    return { kind: 'unavailable', scope: 'topic', error };
  }
  return null;
}

export function topicsOf(records: readonly OutgoingRecord[]): string[] {
  const topics = new Set<string>();
  for (const { topic } of records) topics.add(topic);
  return [...topics];
}

/** A partition's records are one batch: they have consecutive offsets, from the one that the broker names. */
export function outcomesOf(
  records: readonly OutgoingRecord[],
  answerOf: (partition: string) => PartitionAnswer | RecordOutcome,
): readonly RecordOutcome[] {
  const positions = new Map<string, number>();
  return records.map((record) => {
    const partition = partitionOf(record);
    const answer = answerOf(partition);
    if (!('baseOffset' in answer)) return answer;
    const position = positions.get(partition) ?? 0;
    positions.set(partition, position + 1);
    return { kind: 'acknowledged', partition: record.shard, offset: offsetAt(answer.baseOffset, position) };
  });
}

/** Numbers are quicker, and exact where offsets are in practice. */
function offsetAt(base: bigint, position: number): string {
  return base < EXACT ? String(Number(base) + position) : String(base + BigInt(position));
}

const EXACT = 2n ** 52n;
