import type { Logger } from 'pino';
import { backoffDelay, type BackoffBounds } from '../backoff.ts';
import type { SessionId } from '../genesis/ids.ts';
import { identityOf } from './identity.ts';
import { pause } from './pause.ts';
import { LeaseLost, type AfterRefusal, type ClaimedRow, type OutboxStore, type Sent } from './ports.ts';
import type { StatusBoard } from './relay-status.ts';
import { afterRefusal, type OnFailed } from './retry-policy.ts';

/** A row and where the broker put it. */
export interface Published {
  readonly row: ClaimedRow;
  readonly sent: Sent;
}

export interface RecorderOptions {
  readonly logger: Logger;
  readonly board: StatusBoard;
  /** Between tries of a statement that the database did not take. */
  readonly backoff: BackoffBounds;
  readonly onFailed: OnFailed;
  readonly onPublished: (published: Published) => void;
  /** Told once of what the broker has acknowledged, directly after; and of each mark. For measurements; must not throw. */
  readonly onAcknowledged?: ((published: readonly Published[]) => void) | undefined;
  readonly onMark?: ((mark: { readonly rows: number; readonly milliseconds: number }) => void) | undefined;
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
 * Writes down what became of records. Outlives a membership: acknowledgements that could not be marked are kept and marked under
 * the next one, so that a lost database connection makes no duplicate. An outcome whose row somebody else has locked is kept, too.
 */
export class OutcomeRecorder {
  #unmarked: Published[] = [];
  #uncharged: Refused[] = [];
  /** The mark under way: one at a time. */
  #marking: Promise<unknown> = Promise.resolve();
  /** Found locked at the last try. */
  #locked: ReadonlySet<number> = new Set();
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /** Acknowledged and not marked yet: in the topic, whatever the table says. */
  get unmarked(): readonly Published[] {
    return this.#unmarked;
  }

  /** Refused, and not charged yet. */
  get uncharged(): readonly ClaimedRow[] {
    return this.#uncharged.map(({ row }) => row);
  }

  /** Sessions of which nothing may be claimed: a refusal of theirs is not written down yet. */
  get exceptSessions(): readonly SessionId[] {
    return [...new Set(this.#uncharged.map(({ row }) => row.key))];
  }

  /** Nothing more should be claimed before some of what is kept can be written. */
  get full(): boolean {
    return this.#locked.size + this.#uncharged.length >= MOST_KEPT;
  }

  /** Something waits for rows that somebody else has locked. */
  get waitsForLocks(): boolean {
    return this.#locked.size + this.#uncharged.length > 0;
  }

  /**
   * To be called with each new membership. A refusal that is not charged yet is forgotten: another relay may have charged it, and
   * the row will be refused again.
   */
  async takeOver(store: OutboxStore, signal: AbortSignal): Promise<void> {
    this.#uncharged = [];
    await this.mark(store, signal);
  }

  /** Keeps what is to be marked; once each. */
  acknowledged(published: readonly Published[]): void {
    const known = new Set(this.#unmarked.map(({ row }) => row.id));
    for (const one of published) if (!known.has(one.row.id)) this.#unmarked.push(one);
    this.#options.onAcknowledged?.(published);
  }

  /**
   * Marks what was acknowledged, as far as its rows are free, and gives that. Rejects with LeaseLost, or once `signal` aborts with
   * the database's error.
   */
  async mark(store: OutboxStore, signal: AbortSignal): Promise<readonly Published[]> {
    if (this.#unmarked.length === 0) return [];
    const marked = this.#marking.then(() => this.#markAll(store, signal));
    this.#marking = marked.catch(() => undefined);
    return marked;
  }

  async #markAll(store: OutboxStore, signal: AbortSignal): Promise<readonly Published[]> {
    // What is acknowledged meanwhile, by a probe or by reading back, is not among them.
    const marking = [...this.#unmarked];
    if (marking.length === 0) return [];
    const began = performance.now();
    const locked = new Set(await this.#persist(() => store.markSent(marking.map(({ sent }) => sent)), signal));
    this.#options.onMark?.({ rows: marking.length - locked.size, milliseconds: performance.now() - began });
    const marked = locked.size === 0 ? marking : marking.filter(({ row }) => !locked.has(row.id));
    const settled = new Set(marked);
    this.#unmarked = this.#unmarked.filter((one) => !settled.has(one));
    this.#locked = locked;
    this.#tellLocked();
    this.#options.board.published(marked.length);
    await this.#settleHolds(marked, store, signal);
    for (const published of marked) this.#options.onPublished(published);
    return marked;
  }

  /** Schedules the retry of a refused row, or ends its tries. */
  async refused(row: ClaimedRow, error: string, store: OutboxStore, signal: AbortSignal): Promise<void> {
    const refused = { row, error };
    if (!(await this.#charge(refused, store, signal))) this.#uncharged.push(refused);
    this.#tellLocked();
  }

  /** Tries again to charge what could not be charged. */
  async chargeKept(store: OutboxStore, signal: AbortSignal): Promise<void> {
    if (this.#uncharged.length === 0) return;
    for (const one of this.#uncharged) {
      // Kept meanwhile: until it is charged, nothing of its session may be claimed.
      if (await this.#charge(one, store, signal)) this.#uncharged = this.#uncharged.filter((kept) => kept !== one);
    }
    this.#tellLocked();
  }

  /** What a session on hold has come to: its rows are marked in their order. */
  async #settleHolds(marked: readonly Published[], store: OutboxStore, signal: AbortSignal): Promise<void> {
    const sessions = new Set(marked.filter(({ row }) => row.held).map(({ row }) => row.key));
    if (sessions.size > 0) await this.#persist(() => store.settleHolds([...sessions]), signal);
  }

  /** False: somebody has the row locked. */
  async #charge(refused: Refused, store: OutboxStore, signal: AbortSignal): Promise<boolean> {
    const { row, error } = refused;
    const next = afterRefusal(row, this.#options.onFailed);
    const refusal = { id: row.id, shard: row.shard, error };
    const charged = await this.#persist(() => store.charge(refusal, next), signal);
    if (charged === 'charged') this.#tellCharged(refused, next);
    return charged !== 'locked';
  }

  #tellCharged({ row, error }: Refused, next: AfterRefusal): void {
    const { board, logger } = this.#options;
    const about = { ...identityOf(row), sequence: row.sequence, tries: row.retryCount + 1, error };
    if (next.kind === 'retry') {
      board.retried(error);
      logger.warn({ ...about, delayMs: next.delayMs }, 'the broker refused an event: trying again');
      return;
    }
    board.failed(error);
    logger.error(about, next.kind === 'fail' ? FAILED : DISCARDED);
  }

  #tellLocked(): void {
    const first = this.#unmarked.find(({ row }) => this.#locked.has(row.id)) ?? this.#uncharged[0];
    if (first === undefined) this.#options.board.rowsFree();
    else this.#options.board.rowsLocked(this.#locked.size + this.#uncharged.length, first.row);
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

const FAILED =
  'the broker refused an event for good: its session is held until somebody retries or discards it (genesis outbox)';
const DISCARDED = 'the broker refused an event for good: it is discarded, its marker goes out in its place';
