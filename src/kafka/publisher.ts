import assert from 'node:assert/strict';
import { Producer, stringSerializers, type ProduceResult } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';
import { backoffDelay } from '../backoff.ts';
import type { OutgoingRecord, Publisher, RecordOutcome } from '../relay/ports.ts';
import { errorWords, isStaleLeader, readProduceFailure, type PartitionAnswer } from './classify-error.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { encodingFault } from './encoding-fault.ts';

export interface PublisherOptions {
  /** Milliseconds after which a pending send is told to be stalled. Default 10,000. */
  readonly deliveryDeadline?: number;
  /** Names this client to the broker. */
  readonly clientId?: string;
}

type TextProducer = Producer<string, string, string, string>;

/** Between the client's own tries of one send, in milliseconds. */
const RETRY_DELAY = { first: 50, most: 2_000 };
/** Tries at a broker that says it does not lead the partition, before the send is routed anew. */
const STALE_TRIES = 3;
/** A new leader is learnt from an error, a topic that was replaced by another from this, in milliseconds. */
const METADATA_MAX_AGE = 300_000;
/**
 * Tries after which a send is given up: the client keeps the error of every try, and an outage may last for days. At the
 * longest delay this is over an hour; the relay then begins anew.
 */
const MOST_TRIES = 2_000;
/** What a closed connection may take to tell so, in milliseconds. */
const CLOSE_GRACE = 1_000;

/** What is known of the partitions of a send, and what holds for the others. */
interface Answers {
  readonly answers: ReadonlyMap<string, PartitionAnswer>;
  readonly otherwise: Extract<PartitionAnswer, { kind: 'unavailable' }>;
}

/** The send under way. */
interface Flight {
  readonly producer: TextProducer;
  readonly answered: Promise<unknown>;
  readonly giveUp: () => void;
}

/** Publisher on @platformatic/kafka: idempotent, acknowledged by all in-sync replicas, one awaited send at a time. */
export class KafkaPublisher implements Publisher {
  readonly #kafka: KafkaConfig;
  readonly #clientId: string;
  readonly #deliveryDeadline: number;
  #producer: TextProducer | null = null;
  #flight: Flight | null = null;
  #lastError = 'no answer';

  constructor(kafka: KafkaConfig, options: PublisherOptions = {}) {
    this.#kafka = kafka;
    this.#clientId = options.clientId ?? 'genesis-relay';
    this.#deliveryDeadline = options.deliveryDeadline ?? 10_000;
  }

  async send(
    records: readonly OutgoingRecord[],
    onStalled?: (error: string) => void,
  ): Promise<readonly RecordOutcome[]> {
    assert(this.#flight === null, 'one send at a time: a second one could overtake the first');
    const faults = encodingFaults(records);
    const sound = records.filter((record) => !faults.has(partitionOf(record)));
    const answers = sound.length === 0 ? NOTHING_SENT : await this.#produce(sound, onStalled);
    return outcomesOf(records, faults, answers);
  }

  async close(): Promise<void> {
    const flight = this.#flight;
    const producer = this.#producer;
    this.#producer = null;
    if (producer !== null) await closeAtOnce(producer, () => producer.close(true));
    if (flight === null) return;
    const grace = setTimeout(flight.giveUp, CLOSE_GRACE);
    await flight.answered;
    clearTimeout(grace);
  }

  /** Never rejects. */
  async #produce(records: readonly OutgoingRecord[], onStalled?: (error: string) => void): Promise<Answers> {
    const deadline = setTimeout(() => onStalled?.(this.#lastError), this.#deliveryDeadline);
    const { promise: givenUp, resolve: giveUp } = Promise.withResolvers<Answers>();
    this.#lastError = `no answer within ${this.#deliveryDeadline} ms`;
    try {
      this.#producer ??= this.#open();
      const producer = this.#producer;
      const answered = this.#attempt(producer, records);
      this.#flight = { producer, answered, giveUp: () => giveUp(unavailable('the publisher was closed')) };
      return await Promise.race([answered, givenUp]);
    } finally {
      clearTimeout(deadline);
      this.#flight = null;
    }
  }

  async #attempt(producer: TextProducer, records: readonly OutgoingRecord[]): Promise<Answers> {
    try {
      const missing = await missingPartition(producer, records);
      if (missing !== null) return missing;
      const result = await producer.send({
        messages: records.map(({ topic, key, shard, payload, headers }) => {
          return { topic, key, value: payload, partition: shard, headers: { ...headers } };
        }),
      });
      return { answers: acknowledged(result), otherwise: NOT_ANSWERED };
    } catch (error) {
      // The client forgets its sequence numbers after an error and would go on; a producer that was closed cannot.
      if (producer.closed && this.#producer === producer) this.#producer = null;
      const { answers, otherwise } = readProduceFailure(error);
      return { answers, otherwise: { kind: 'unavailable', ...otherwise } };
    }
  }

  #open(): TextProducer {
    const producer: TextProducer = new Producer({
      ...connectionOptions(this.#kafka, this.#clientId),
      idempotent: true,
      acks: -1,
      serializers: stringSerializers,
      metadataMaxAge: METADATA_MAX_AGE,
      retries: true,
      retryDelay: (_client, operation, attempt, _retries, error) => {
        return this.#beforeRetry(producer, operation, attempt, error);
      },
    });
    return producer;
  }

  /** How long the client waits before it tries again; endless tries are what keeps a send from being lost or doubled. */
  #beforeRetry(producer: TextProducer, operation: string, attempt: number, error: Error): number {
    this.#lastError = errorWords(error);
    if (producer.closed) return 0;
    // The client goes on asking the brokers it chose at first, though each partition may have moved by itself. Closed, it
    // gives up and says what was written; the relay sends the rest anew, to where the partitions are now.
    const misrouted = operation === 'produce' && attempt >= STALE_TRIES && isStaleLeader(error);
    if (misrouted || attempt >= MOST_TRIES) {
      setImmediate(() => void closeAtOnce(producer, () => producer.close(true)));
    }
    return backoffDelay(attempt, RETRY_DELAY);
  }
}

const NOT_ANSWERED = { kind: 'unavailable', scope: 'cluster', error: 'the broker did not answer for it' } as const;
const NOTHING_SENT: Answers = { answers: new Map(), otherwise: NOT_ANSWERED };

function unavailable(error: string): Answers {
  return { answers: new Map(), otherwise: { kind: 'unavailable', scope: 'cluster', error } };
}

function partitionOf(record: Pick<OutgoingRecord, 'topic' | 'shard'>): string {
  return `${record.topic}:${record.shard}`;
}

/** By partition, because of a batch nothing may be sent when one of its records cannot be. */
function encodingFaults(records: readonly OutgoingRecord[]): ReadonlyMap<string, string> {
  const faults = new Map<string, string>();
  for (const record of records) {
    const fault = encodingFault(record);
    if (fault !== null) faults.set(partitionOf(record), `cannot be encoded: ${fault}`);
  }
  return faults;
}

/** The client takes a partition number modulo the topic's count; a record must not go where nobody looks for it. */
async function missingPartition(producer: TextProducer, records: readonly OutgoingRecord[]): Promise<Answers | null> {
  const topics = [...new Set(records.map(({ topic }) => topic))];
  const metadata = await producer.metadata({ topics });
  for (const { topic, shard } of records) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0;
    if (shard < count) continue;
    const error = `topic ${topic} has ${count} partitions, there is no partition ${shard}`;
    return { answers: new Map(), otherwise: { kind: 'unavailable', scope: 'topic', error } };
  }
  return null;
}

function acknowledged(result: ProduceResult): ReadonlyMap<string, PartitionAnswer> {
  const answers = new Map<string, PartitionAnswer>();
  for (const { topic, partition, offset } of result.offsets ?? []) {
    answers.set(`${topic}:${partition}`, { kind: 'acknowledged', baseOffset: offset });
  }
  return answers;
}

/** A partition's records are one batch: they have consecutive offsets, from the one that the broker names. */
function outcomesOf(
  records: readonly OutgoingRecord[],
  faults: ReadonlyMap<string, string>,
  { answers, otherwise }: Answers,
): readonly RecordOutcome[] {
  const positions = new Map<string, bigint>();
  return records.map((record) => {
    const partition = partitionOf(record);
    const fault = faults.get(partition);
    if (fault !== undefined) return { kind: 'refused', error: fault };
    const answer = answers.get(partition) ?? otherwise;
    if (answer.kind !== 'acknowledged') return answer;
    const position = positions.get(partition) ?? 0n;
    positions.set(partition, position + 1n);
    return { kind: 'acknowledged', partition: record.shard, offset: String(answer.baseOffset + position) };
  });
}
