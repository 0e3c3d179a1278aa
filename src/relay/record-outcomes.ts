import type { Logger } from 'pino';
import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import type { SessionId } from '../genesis/ids.ts';
import type { Published } from './drain-batch.ts';
import { pause } from './pause.ts';
import { LeaseLost, type ClaimedRow, type OutboxStore } from './ports.ts';
import type { StatusBoard } from './relay-status.ts';
import { afterRefusal } from './retry-policy.ts';

export interface RecorderOptions {
  readonly logger: Logger;
  readonly board: StatusBoard;
  /** Between tries of a statement that the database did not take. */
  readonly backoff: BackoffBounds;
  readonly onPublished: (published: Published) => void;
}

/** A row that the broker refused alone. */
interface Refused {
  readonly row: ClaimedRow;
  readonly error: string;
}

/**
 * Most outcomes that are kept because somebody has their rows locked. An operator locks single rows; beside one who locks
 * thousands the relay waits until he is done, rather than fill its memory.
 */
const MOST_KEPT = 1_000;

/**
 * Writes down what became of records. Outlives a lease: acknowledgements that could not be marked are kept and marked under
 * the next one, before anything is claimed, so that a lost database connection makes no duplicate. An outcome whose row somebody
 * else has locked is kept, too; its session is to be left out of what is claimed until the row is free.
 */
export class OutcomeRecorder {
  #unmarked: Published[] = [];
  #uncharged: Refused[] = [];
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Sessions whose rows must not be claimed: what became of an earlier one is not written down yet. */
  get held(): readonly SessionId[] {
    if (this.#kept === 0) return [];
    return [...new Set([...this.#unmarked, ...this.#uncharged].map(({ row }) => row.key))];
  }

  /** Nothing more should be claimed before some of what is kept can be written. */
  get full(): boolean {
    return this.#kept >= MOST_KEPT;
  }

  get #kept(): number {
    return this.#unmarked.length + this.#uncharged.length;
  }

  /**
   * To be called with each new lease. A refusal that is not charged yet is forgotten: another relay may have charged it, and the
   * row will be refused again.
   */
  async takeOver(store: OutboxStore, signal: AbortSignal): Promise<void> {
    this.#uncharged = [];
    await this.settle(store, signal);
  }

  /** Writes down what is kept, as far as its rows are free. Rejects with LeaseLost, or when `signal` aborts with the database's error. */
  async settle(store: OutboxStore, signal: AbortSignal): Promise<void> {
    await this.#mark(this.#unmarked, store, signal);
    const refused = this.#uncharged;
    this.#uncharged = [];
    for (const one of refused) await this.#chargeOrKeep(one, store, signal);
    this.#tellLocked();
  }

  async acknowledged(published: readonly Published[], store: OutboxStore, signal: AbortSignal): Promise<void> {
    this.#unmarked.push(...published);
    await this.#mark(published, store, signal);
    this.#tellLocked();
  }

  /** Schedules the retry of a refused row, or makes it FAILED. */
  async refused(row: ClaimedRow, error: string, store: OutboxStore, signal: AbortSignal): Promise<void> {
    await this.#chargeOrKeep({ row, error }, store, signal);
    this.#tellLocked();
  }

  /** Marks some of what is unmarked. */
  async #mark(marking: readonly Published[], store: OutboxStore, signal: AbortSignal): Promise<void> {
    if (marking.length === 0) return;
    const locked = new Set(await this.#persist(() => store.markSent(marking.map(({ sent }) => sent)), signal));
    const settled = new Set(marking.filter(({ row }) => !locked.has(row.id)));
    this.#unmarked = this.#unmarked.filter((one) => !settled.has(one));
    if (settled.size === 0) return;
    this.#options.board.published(settled.size);
    for (const published of settled) this.#options.onPublished(published);
  }

  async #chargeOrKeep(refused: Refused, store: OutboxStore, signal: AbortSignal): Promise<void> {
    const { board, logger } = this.#options;
    const { row, error } = refused;
    const refusal = { id: row.id, error };
    const next = afterRefusal(row);
    const about = {
      eventId: row.eventId,
      sessionId: row.key,
      sequence: row.sequence,
      tries: row.retryCount + 1,
      error,
    };
    const charged = await this.#persist(
      () => (next.kind === 'retry' ? store.scheduleRetry(refusal, next.delayMs) : store.markFailed(refusal)),
      signal,
    );
    if (!charged) {
      this.#uncharged.push(refused);
    } else if (next.kind === 'retry') {
      board.retried(error);
      logger.warn({ ...about, delayMs: next.delayMs }, 'the broker refused an event: trying again');
    } else {
      board.failed(error);
      logger.error(
        about,
        'the broker refused an event for good: its session is held until somebody retries or discards it',
      );
    }
  }

  #tellLocked(): void {
    const [first] = [...this.#unmarked, ...this.#uncharged];
    if (first === undefined) this.#options.board.rowsFree();
    else this.#options.board.rowsLocked(this.#kept, first.row.eventId);
  }

  async #persist<Result>(write: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const result = await write();
        this.#options.board.databaseAnswered();
        return result;
      } catch (error) {
        if (error instanceof LeaseLost || signal.aborted) throw error;
        this.#options.board.databaseAway(String(error));
        await pause(backoffDelay(attempt, this.#options.backoff), signal);
      }
    }
  }
}
