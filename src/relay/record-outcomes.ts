import type { Logger } from 'pino';
import { backoffDelay, type BackoffBounds } from '../backoff.ts';
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

/**
 * Writes down what became of records. Outlives a lease: acknowledgements that could not be marked are kept and marked under
 * the next one, before anything is claimed, so that a lost database connection makes no duplicate.
 */
export class OutcomeRecorder {
  #unmarked: Published[] = [];
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  async acknowledged(published: readonly Published[], store: OutboxStore, signal: AbortSignal): Promise<void> {
    this.#unmarked.push(...published);
    await this.markPending(store, signal);
  }

  /** Marks what is still unmarked. Rejects with LeaseLost, or when `signal` aborts with the database's error. */
  async markPending(store: OutboxStore, signal: AbortSignal): Promise<void> {
    const marking = this.#unmarked;
    if (marking.length === 0) return;
    await this.#persist(() => store.markSent(marking.map(({ sent }) => sent)), signal);
    this.#unmarked = [];
    this.#options.board.published(marking.length);
    for (const published of marking) this.#options.onPublished(published);
  }

  /** Schedules the retry of a refused row, or makes it FAILED. */
  async refused(row: ClaimedRow, error: string, store: OutboxStore, signal: AbortSignal): Promise<void> {
    const { board, logger } = this.#options;
    const refusal = { id: row.id, error };
    const next = afterRefusal(row);
    const about = {
      eventId: row.eventId,
      sessionId: row.key,
      sequence: row.sequence,
      tries: row.retryCount + 1,
      error,
    };
    if (next.kind === 'retry') {
      await this.#persist(() => store.scheduleRetry(refusal, next.delayMs), signal);
      board.retried(error);
      logger.warn({ ...about, delayMs: next.delayMs }, 'the broker refused an event: trying again');
      return;
    }
    await this.#persist(() => store.markFailed(refusal), signal);
    board.failed(error);
    logger.error(
      about,
      'the broker refused an event for good: its session is held until somebody retries or discards it',
    );
  }

  async #persist(write: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await write();
        this.#options.board.databaseAnswered();
        return;
      } catch (error) {
        if (error instanceof LeaseLost || signal.aborted) throw error;
        this.#options.board.databaseAway(String(error));
        await pause(backoffDelay(attempt, this.#options.backoff), signal);
      }
    }
  }
}
