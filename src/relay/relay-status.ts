import type { Logger } from 'pino';
import type { EventId } from '../genesis/ids.ts';

/** See the state machine in docs/relay.md. `stalled` is the open circuit. */
export type RelayState = 'standby' | 'draining' | 'idle' | 'stalled' | 'stopped';

export interface RelayStatus {
  readonly state: RelayState;
  /** When the state began, in milliseconds since the epoch by this machine's clock. */
  readonly since: number;
  /** When rows were last marked SENT, likewise; null before the first. */
  readonly lastProgressAt: number | null;
  /** What went wrong last; null as long as nothing has. */
  readonly lastError: string | null;
  /** Rows marked SENT, retries scheduled and rows marked FAILED since the start. */
  readonly published: number;
  readonly retried: number;
  readonly failed: number;
}

const ROWS_LOCKED =
  'somebody has locked rows of event_outbox that were sent or refused meanwhile: their sessions wait for his COMMIT or ROLLBACK';

/** Keeps the status and tells each outage once: a warning when it begins, a line when it is over. */
export class StatusBoard {
  #status: RelayStatus = {
    state: 'stopped',
    since: Date.now(),
    lastProgressAt: null,
    lastError: null,
    published: 0,
    retried: 0,
    failed: 0,
  };
  #databaseAway = false;
  #rowsLocked = false;
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  get status(): RelayStatus {
    return this.#status;
  }

  enter(state: RelayState): void {
    if (this.#status.state === state) return;
    this.#status = { ...this.#status, state, since: Date.now() };
  }

  /** A claim brought rows. An open circuit stays open until the broker takes some. */
  draining(): void {
    if (this.#status.state !== 'stalled') this.enter('draining');
  }

  /** The circuit opens. */
  stalled(error: string): void {
    if (this.#status.state !== 'stalled') {
      this.#logger.warn({ error }, 'the broker does not take records: waiting for it, nothing is charged');
    }
    this.#status = { ...this.#status, lastError: error };
    this.enter('stalled');
  }

  /** The broker answered: the circuit closes. */
  answered(): void {
    if (this.#status.state !== 'stalled') return;
    this.#logger.info('the broker takes records again');
    this.enter('draining');
  }

  published(count: number): void {
    this.#status = { ...this.#status, published: this.#status.published + count, lastProgressAt: Date.now() };
  }

  retried(error: string): void {
    this.#status = { ...this.#status, retried: this.#status.retried + 1, lastError: error };
  }

  failed(error: string): void {
    this.#status = { ...this.#status, failed: this.#status.failed + 1, lastError: error };
  }

  broken(error: string): void {
    this.#status = { ...this.#status, lastError: error };
  }

  databaseAway(error: string): void {
    if (!this.#databaseAway) this.#logger.warn({ error }, 'the database does not answer: trying again');
    this.#databaseAway = true;
    this.#status = { ...this.#status, lastError: error };
  }

  databaseAnswered(): void {
    if (this.#databaseAway) this.#logger.info('the database answers again');
    this.#databaseAway = false;
  }

  /** What became of rows cannot be written, because somebody else has them locked. */
  rowsLocked(rows: number, eventId: EventId): void {
    const error = `${rows} rows of event_outbox are locked by somebody else, first that of event ${eventId}`;
    if (!this.#rowsLocked) this.#logger.warn({ rows, eventId }, ROWS_LOCKED);
    this.#rowsLocked = true;
    this.#status = { ...this.#status, lastError: error };
  }

  rowsFree(): void {
    if (this.#rowsLocked) this.#logger.info('the locked rows of event_outbox are free again');
    this.#rowsLocked = false;
  }
}
