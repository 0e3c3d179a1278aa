import { backoffDelay } from '../backoff.ts';
import type { KafkaConfig } from '../config.ts';
import { errorWords, isStaleLeader } from './classify-error.ts';
import { capApi, says, setTransactionTimeout, tolerateLeaderless } from './client-seams.ts';
import { CommittedRecords } from './committed-records.ts';
import { closeAtOnce, connectionOptions } from './connection.ts';
import { orAborted } from './or-aborted.ts';
import { createProducer, type TextProducer } from './outgoing.ts';

export type OpenTransaction = Awaited<ReturnType<TextProducer['beginTransaction']>>;

/**
 * Milliseconds after which the broker rolls an open transaction back by itself. Longer than two delivery deadlines and the marking
 * between them, so that it never ends one that we still believe in; as short as that allows, because until then readers of
 * committed records see nothing of what comes behind a transaction that a dead relay left open and nobody has fenced.
 */
export const TRANSACTION_TIMEOUT = 30_000;

/** Between the client's own tries, in milliseconds. */
const RETRY_DELAY = { first: 50, most: 1_000 };
/** A transaction that begins right after another waits for the end of that one to be written: usually a few milliseconds. */
const MARKERS_DELAY = { first: 2, most: 200 };
const METADATA_MAX_AGE = 300_000;
/** What may pass after the first error of a send until a cluster that answers is told to be in trouble only in part, in milliseconds. */
const TROUBLE = 500;
/** What a closed connection may take to tell so, in milliseconds. */
const CLOSE_GRACE = 500;
/** What a rollback may take before it is left to whoever has the transactional id next, in milliseconds. */
const ROLLBACK_GRACE = 400;

/**
 * The client as the only producer of one transactional id. Whatever fails in it but a refusal, it is closed and another one takes its
 * place.
 */
export class TransactionalClient {
  readonly transactionalId: string;
  readonly producer: TextProducer;
  readonly #closed = Promise.withResolvers<never>();
  readonly #kafka: KafkaConfig;
  #committed: CommittedRecords | null = null;
  #lastError: string | null = null;
  #trouble: NodeJS.Timeout | null = null;

  constructor(kafka: KafkaConfig, clientId: string, transactionalId: string) {
    this.transactionalId = transactionalId;
    this.#kafka = kafka;
    this.#closed.promise.catch(() => {});
    this.producer = createProducer({
      ...connectionOptions(kafka, clientId),
      transactionalId,
      idempotent: true,
      acks: -1,
      // Without these the client claims to be producer 0, and the broker takes it for one that was fenced.
      producerId: -1n,
      producerEpoch: -1,
      metadataMaxAge: METADATA_MAX_AGE,
      retries: true,
      retryDelay: (_client, operation, attempt, _retries, error) => this.#beforeRetry(operation, attempt, error),
    });
    tolerateLeaderless(this.producer);
    setTransactionTimeout(this.producer, TRANSACTION_TIMEOUT);
    // Later versions are for brokers only: where there are ACLs they need ClusterAction.
    capApi(this.producer, 'AddPartitionsToTxn', 3);
  }

  get closed(): boolean {
    return this.producer.closed;
  }

  /** What readers of committed records see of the topic. */
  get committed(): CommittedRecords {
    this.#committed ??= new CommittedRecords(this.#kafka, { clientId: 'genesis-relay' });
    return this.#committed;
  }

  get lastError(): string | null {
    return this.#lastError;
  }

  /** Fences those who had the transactional id before; resolves once what they left open is rolled back. */
  async become(signal: AbortSignal): Promise<void> {
    const transaction = await orAborted(this.orClosed(this.producer.beginTransaction()), signal);
    await transaction.cancel();
  }

  async begin(): Promise<OpenTransaction> {
    this.#lastError = null;
    return this.producer.beginTransaction();
  }

  /**
   * Rolls back, and goes on as the same producer under its next epoch: sequence numbers that a refusal has left a gap in begin anew.
   * The broker lets only the producer do so that nobody has fenced (KIP-360).
   * @throws the client's errors: whether it was rolled back is unknown then, but it was not committed
   */
  async goOn(transaction: OpenTransaction): Promise<void> {
    const { producerId, producerEpoch } = this.producer;
    // Without these the broker would make it the newest producer, whoever has fenced it.
    if (producerId === undefined || producerEpoch === undefined) throw new Error('the producer has lost its identity');
    await transaction.abort();
    const next = await this.producer.beginTransaction();
    await this.producer.initIdempotentProducer({ producerId, producerEpoch });
    await next.cancel();
  }

  /** Rolls back as far as that can be done soon; else the next to have the transactional id does it. Never rejects. */
  async rollBack(transaction: OpenTransaction): Promise<void> {
    if (this.closed) return;
    await orAborted(this.orClosed(transaction.abort()), AbortSignal.timeout(ROLLBACK_GRACE)).catch(() => {});
  }

  /** Rejects in place of `work` when the client is closed and `work` does not notice it soon. */
  async orClosed<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await Promise.race([work, this.#closed.promise]);
    } finally {
      if (this.#trouble !== null) clearTimeout(this.#trouble);
      this.#trouble = null;
    }
  }

  /** What is pending rejects soon, with what the brokers said so far. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([closeAtOnce(this.producer, () => this.producer.close(true)), this.#committed?.close()]);
    setTimeout(() => this.#closed.reject(new Error(this.#lastError ?? 'the client was closed')), CLOSE_GRACE).unref();
  }

  #beforeRetry(operation: string, attempt: number, error: Error): number {
    if (this.closed) return 0;
    this.#lastError = errorWords(error);
    if (says(error, 'CONCURRENT_TRANSACTIONS')) return backoffDelay(attempt, MARKERS_DELAY);
    if (operation === 'produce') this.#trouble ??= setTimeout(() => void this.#giveUpPart(), TROUBLE);
    // The coordinator may be a broker that was not there when the cluster was last looked at.
    else if (isStaleLeader(error)) this.producer.clearMetadata();
    return backoffDelay(attempt, RETRY_DELAY);
  }

  /** A transaction that cannot be written wholly is of no use, and costs nothing to give up, as long as the cluster answers. */
  async #giveUpPart(): Promise<void> {
    try {
      await this.producer.metadata({ topics: [], forceUpdate: true, retries: 2 });
      if (this.#trouble !== null) await this.close();
    } catch {
      // The whole cluster is away: the deadline counts.
      if (this.#trouble !== null) this.#trouble = setTimeout(() => void this.#giveUpPart(), TROUBLE);
    }
  }
}
