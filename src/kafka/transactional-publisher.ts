import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { backoffDelay } from '../backoff.ts';
import type { KafkaConfig } from '../config.ts';
import type { OutgoingRecord, RecordOutcome, SendHooks, TransactionalPublisher } from '../relay/ports.ts';
import { PublisherUnavailable } from '../relay/ports.ts';
import { errorWords, readProduceFailure, type PartitionAnswer } from './classify-error.ts';
import { says } from './client-seams.ts';
import {
  encodingFaults,
  missingPartition,
  outcomesOf,
  partitionOf,
  produce,
  withoutFaults,
  type Answers,
} from './outgoing.ts';
import { TransactionalClient, type OpenTransaction } from './transactional-client.ts';

export interface TransactionalPublisherOptions {
  /**
   * Milliseconds that each half of a send may take: writing the records, and ending their transaction. Then it is given up. Both
   * together must end before TRANSACTION_TIMEOUT. Default 10,000.
   */
  readonly deliveryDeadline?: number;
  /** Names this client to the broker. */
  readonly clientId?: string;
}

/** A newer producer has the transactional id, or the broker has ended our transaction and our right to it. */
const FENCED = ['PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING'];

/**
 * Milliseconds after its answer until which a commit must be visible; less than what is left of a lease that is still trusted. Otherwise
 * what became of it is unknown.
 */
const VISIBLE_WITHIN = 400;
/** Between two looks, in milliseconds. */
const VISIBLE_DELAY = { first: 1, most: 50 };

/** TransactionalPublisher on @platformatic/kafka: one send, one transaction. */
export class KafkaTransactionalPublisher implements TransactionalPublisher {
  readonly #kafka: KafkaConfig;
  readonly #clientId: string;
  readonly #deadline: number;
  #client: TransactionalClient | null = null;
  #sending = false;

  constructor(kafka: KafkaConfig, options: TransactionalPublisherOptions = {}) {
    this.#kafka = kafka;
    this.#clientId = options.clientId ?? 'genesis-relay';
    this.#deadline = options.deliveryDeadline ?? 10_000;
  }

  get isOpen(): boolean {
    return this.#client?.closed === false;
  }

  async open(transactionalId: string, signal: AbortSignal): Promise<void> {
    const before = this.#client;
    const client = this.#create(transactionalId);
    this.#client = client;
    try {
      await before?.close();
      await this.#become(client, signal);
    } catch (error) {
      if (this.#client === client) this.#client = null;
      await client.close();
      throw error;
    }
  }

  async fence(transactionalId: string, signal: AbortSignal): Promise<void> {
    const client = this.#create(transactionalId);
    try {
      await this.#become(client, signal);
    } finally {
      await client.close();
    }
  }

  async send(records: readonly OutgoingRecord[], hooks: SendHooks = {}): Promise<readonly RecordOutcome[]> {
    assert(!this.#sending, 'one send at a time: a transaction carries one');
    this.#sending = true;
    try {
      const faults = encodingFaults(records);
      const sound = withoutFaults(records, faults);
      const answerOf = sound.length === 0 ? () => NOT_OPEN : await this.#transact(sound, hooks);
      return outcomesOf(records, (partition) => {
        const error = faults.get(partition);
        return error === undefined ? answerOf(partition) : { kind: 'refused', error };
      });
    } finally {
      this.#sending = false;
    }
  }

  /** What is pending ends within a second. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = null;
    await client?.close();
  }

  #create(transactionalId: string): TransactionalClient {
    return new TransactionalClient(this.#kafka, this.#clientId, transactionalId);
  }

  async #become(client: TransactionalClient, signal: AbortSignal): Promise<void> {
    try {
      await client.become(AbortSignal.any([signal, AbortSignal.timeout(this.#deadline)]));
    } catch (error) {
      signal.throwIfAborted();
      const words = client.closed ? 'the publisher was closed' : (client.lastError ?? errorWords(error));
      throw new PublisherUnavailable(`transactional id ${client.transactionalId} cannot be had: ${words}`, {
        cause: error,
      });
    }
  }

  /** Never rejects. The client is closed unless all that it did is known. */
  async #transact(records: readonly OutgoingRecord[], hooks: SendHooks): Promise<Judge> {
    const client = this.#client;
    if (client === null || client.closed) return () => NOT_OPEN;
    const judge = await this.#attempt(client, records, hooks);
    if (judge.goesOn) return judge.answerOf;
    await client.close();
    if (this.#client === client) this.#client = null;
    return judge.answerOf;
  }

  /**
   * Waits until readers of committed records see beyond what was committed. A broker that is being stopped may answer a commit with
   * success, end the transaction without a word to its partitions, and let the next fence roll its records back (seen with Kafka
   * 4.3.1): what is marked before its partition says so may be lost.
   * @throws Error when that takes longer than the lease, which was looked at before the commit, certainly lasts
   */
  async #untilVisible(client: TransactionalClient, answers: Answers): Promise<void> {
    const last = new Map<number, bigint>();
    const topic = `${this.#kafka.topic}:`;
    for (const [name, answer] of answers) {
      if (answer.kind === 'acknowledged' && name.startsWith(topic)) {
        last.set(Number(name.slice(topic.length)), answer.baseOffset);
      }
    }
    const until = performance.now() + VISIBLE_WITHIN;
    for (let attempt = 1; ; attempt += 1) {
      const ends = await client.orClosed(client.committed.ends([...last.keys()]));
      for (const [partition, offset] of last) if ((ends.get(partition) ?? -1n) > offset) last.delete(partition);
      if (last.size === 0) return;
      if (performance.now() >= until) throw new Error('the commit was answered, and readers do not see it');
      await delay(backoffDelay(attempt, VISIBLE_DELAY));
    }
  }

  async #attempt(client: TransactionalClient, records: readonly OutgoingRecord[], hooks: SendHooks): Promise<Ending> {
    let transaction: OpenTransaction | null = null;
    let answers: Answers;
    try {
      const missing = await this.#within(client, missingPartition(client.producer, records), hooks);
      if (missing !== null) return failed(() => missing);
      transaction = await this.#within(client, client.begin(), hooks);
      answers = await this.#within(client, produce(transaction, records), hooks);
    } catch (error) {
      return this.#rollBack(client, transaction, { records, answerOf: afterWriting(error) }, hooks);
    }
    try {
      await hooks.beforeCommit?.();
    } catch (error) {
      await client.rollBack(transaction);
      return failed(() => ({ kind: 'rolled-back', error: errorWords(error) }));
    }
    try {
      await this.#within(client, transaction.commit(), hooks);
      await this.#within(client, this.#untilVisible(client, answers), hooks);
      return { goesOn: true, answerOf: (partition) => answers.get(partition) ?? UNKNOWN };
    } catch (error) {
      return failed(afterCommitting(error));
    }
  }

  /** When every partition has answered, nothing of the send is still on its way: once it is rolled back, all is known. */
  async #rollBack(
    client: TransactionalClient,
    transaction: OpenTransaction | null,
    { records, answerOf }: Pick<Ending, 'answerOf'> & { readonly records: readonly OutgoingRecord[] },
    hooks: SendHooks,
  ): Promise<Ending> {
    if (transaction === null) return failed(answerOf);
    const answered = records.every((record) => ANSWERED.has(answerOf(partitionOf(record)).kind));
    if (!answered) {
      await client.rollBack(transaction);
      return failed(answerOf);
    }
    try {
      await this.#within(client, client.goOn(transaction), hooks);
      return { goesOn: true, answerOf };
    } catch (error) {
      const fenced = fencedBy(error);
      return failed(fenced === null ? answerOf : () => fenced);
    }
  }

  /** Gives up once it takes too long: the broker ends a transaction by itself some time after. */
  async #within<Result>(client: TransactionalClient, work: Promise<Result>, hooks: SendHooks): Promise<Result> {
    const deadline = setTimeout(() => {
      hooks.onStalled?.(client.lastError ?? `no answer within ${this.#deadline} ms`);
      void client.close();
    }, this.#deadline);
    try {
      return await client.orClosed(work);
    } finally {
      clearTimeout(deadline);
    }
  }
}

type Judge = (partition: string) => PartitionAnswer | RecordOutcome;

interface Ending {
  /** All of it is known: the client may be used further. */
  readonly goesOn: boolean;
  readonly answerOf: Judge;
}

/** What a partition says that has dealt with its records. */
const ANSWERED: ReadonlySet<string> = new Set<RecordOutcome['kind']>(['refused', 'rolled-back']);

const NOT_OPEN = { kind: 'unavailable', scope: 'cluster', error: 'the publisher is not open' } as const;
const UNKNOWN = { kind: 'unavailable', scope: 'cluster', error: 'the broker did not answer for it' } as const;

function failed(answerOf: Judge): Ending {
  return { goesOn: false, answerOf };
}

/** Certainly nothing is committed: nobody was asked to. */
function afterWriting(error: unknown): Judge {
  const fenced = fencedBy(error);
  if (fenced !== null) return () => fenced;
  const { answers, otherwise } = readProduceFailure(error);
  const words = errorWords(error);
  const living = [...answers.values()].some(({ kind }) => kind !== 'unavailable');
  return (partition) => {
    const answer = answers.get(partition);
    if (answer?.kind === 'acknowledged') return { kind: 'rolled-back', error: words };
    if (answer !== undefined) return answer;
    // The cluster is there, or it would not have answered for others.
    const scope = living && otherwise.scope === 'cluster' ? 'partition' : otherwise.scope;
    return { kind: 'unavailable', scope, error: otherwise.error };
  };
}

/** It may be committed, and it may not be. */
function afterCommitting(error: unknown): Judge {
  const outcome = fencedBy(error) ?? {
    ...({ kind: 'unavailable', scope: 'cluster' } as const),
    error: `whether the transaction was committed is unknown: ${errorWords(error)}`,
  };
  return () => outcome;
}

function fencedBy(error: unknown): Extract<RecordOutcome, { kind: 'fenced' }> | null {
  return says(error, ...FENCED) ? { kind: 'fenced', error: errorWords(error) } : null;
}
