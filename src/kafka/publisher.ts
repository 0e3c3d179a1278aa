import assert from 'node:assert/strict';
import { backoffDelay } from '../backoff.ts';
import type { KafkaConfig } from '../config.ts';
import type { OutgoingRecord, Publisher, RecordOutcome, SendHooks } from '../relay/ports.ts';
import { errorWords, isStaleLeader } from './classify-error.ts';
import { tolerateLeaderless } from './client-seams.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { createProducer, encodingFaults, outcomesOf, withoutFaults, type TextProducer } from './outgoing.ts';
import { SplitSend } from './split-send.ts';

export interface PublisherOptions {
  /** Milliseconds after which a pending send is told to be stalled. Default 10,000. */
  readonly deliveryDeadline?: number;
  /** Names this client to the broker. */
  readonly clientId?: string;
}

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

/** Publisher on @platformatic/kafka: idempotent, acknowledged by all in-sync replicas, one awaited send at a time. */
export class KafkaPublisher implements Publisher {
  readonly #kafka: KafkaConfig;
  readonly #clientId: string;
  readonly #deliveryDeadline: number;
  #producer: TextProducer | null = null;
  #flight: SplitSend | null = null;
  #lastError = 'no answer';

  constructor(kafka: KafkaConfig, options: PublisherOptions = {}) {
    this.#kafka = kafka;
    this.#clientId = options.clientId ?? 'genesis-relay';
    this.#deliveryDeadline = options.deliveryDeadline ?? 10_000;
  }

  async send(records: readonly OutgoingRecord[], hooks: SendHooks = {}): Promise<readonly RecordOutcome[]> {
    assert(this.#flight === null, 'one send at a time: a second one could overtake the first');
    const faults = encodingFaults(records);
    const sound = withoutFaults(records, faults);
    const flight = sound.length === 0 ? null : await this.#produce(sound, hooks);
    return outcomesOf(records, (partition) => {
      const error = faults.get(partition);
      return error === undefined ? (flight?.answerOf(partition) ?? NOTHING_SENT) : { kind: 'refused', error };
    });
  }

  async close(): Promise<void> {
    const flight = this.#flight;
    const producer = this.#producer;
    this.#producer = null;
    if (producer !== null) await closeAtOnce(producer, () => producer.close(true));
    await flight?.abandon('the publisher was closed', CLOSE_GRACE);
  }

  /** Never rejects. */
  async #produce(records: readonly OutgoingRecord[], hooks: SendHooks): Promise<SplitSend> {
    const deadline = setTimeout(() => hooks.onStalled?.(this.#lastError), this.#deliveryDeadline);
    this.#lastError = `no answer within ${this.#deliveryDeadline} ms`;
    this.#producer ??= this.#open();
    const producer = this.#producer;
    const flight = new SplitSend(producer, records, () => this.#giveUpRest(producer));
    this.#flight = flight;
    try {
      await flight.run();
      // The client forgets its sequence numbers after an error and would go on; a producer that was closed cannot.
      if (producer.closed && this.#producer === producer) this.#producer = null;
      return flight;
    } finally {
      clearTimeout(deadline);
      this.#flight = null;
    }
  }

  /** Closed, the client says what was written; what was not, the relay sends anew: to where the partitions are then. */
  #giveUpRest(producer: TextProducer): void {
    void closeAtOnce(producer, () => producer.close(true));
    void this.#flight?.abandon(this.#lastError, CLOSE_GRACE);
  }

  #open(): TextProducer {
    const producer: TextProducer = createProducer({
      ...connectionOptions(this.#kafka, this.#clientId),
      idempotent: true,
      acks: -1,
      metadataMaxAge: METADATA_MAX_AGE,
      retries: true,
      retryDelay: (_client, operation, attempt, _retries, error) => {
        return this.#beforeRetry(producer, operation, attempt, error);
      },
    });
    tolerateLeaderless(producer);
    return producer;
  }

  /** How long the client waits before it tries again; endless tries are what keeps a send from being lost or doubled. */
  #beforeRetry(producer: TextProducer, operation: string, attempt: number, error: Error): number {
    if (producer.closed) return 0;
    this.#lastError = errorWords(error);
    if (operation === 'produce') this.#flight?.failed(error);
    // The client goes on asking the brokers it chose at first, though each partition may have moved by itself.
    const misrouted = operation === 'produce' && attempt >= STALE_TRIES && isStaleLeader(error);
    if (misrouted || attempt >= MOST_TRIES) setImmediate(() => this.#giveUpRest(producer));
    return backoffDelay(attempt, RETRY_DELAY);
  }
}

const NOTHING_SENT = { kind: 'unavailable', scope: 'cluster', error: 'nothing was sent' } as const;
