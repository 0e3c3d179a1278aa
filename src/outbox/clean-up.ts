import type { Logger } from 'pino';
import type { Service } from '../service.ts';

/** What one step of the clean-up has done. */
export interface CleanUpStep {
  readonly removed: number;
  /** Where the next step goes on; null: nothing behind is old enough, or somebody else is at it. */
  readonly next: number | null;
  /** Lowest id of those that stay though they are old: not settled, or settled late. Null: none was passed. */
  readonly stayed: number | null;
}

/** The tables, as the clean-up needs them. */
export interface SettledRows {
  /**
   * Removes, in a transaction of its own, rows among the next `limit` from the id `from` on that were SENT at least
   * `retention` milliseconds ago, by the database's clock.
   * @throws GenesisError UNAVAILABLE
   */
  removeSettled(from: number, limit: number, retention: number): Promise<CleanUpStep>;
}

export interface CleanUpSettings {
  /** Milliseconds that settled rows are kept. */
  readonly retention: number;
  /** Milliseconds from the end of a pass to the next. Default 60,000. */
  readonly interval?: number;
  /** Most rows that one step looks at. Default 5,000. */
  readonly step?: number;
}

/**
 * Removes what was published longer ago than the retention. Every process with a relay runs one; a lock in the database lets one of
 * them work at a time. A pass goes through the ids from the lowest in small steps, and ends at the first row that was written within the
 * retention: nothing behind it can be old enough. So a pass looks at what it removes, and at what stays for other reasons.
 */
export class CleanUp implements Service {
  readonly name = 'clean-up';
  readonly #rows: SettledRows;
  readonly #settings: Required<CleanUpSettings>;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #passing: Promise<void> = Promise.resolve();
  #running = false;
  #away = false;
  /** Nothing below is left to be removed. */
  #from = 0;

  constructor(rows: SettledRows, settings: CleanUpSettings, logger: Logger) {
    this.#rows = rows;
    this.#settings = { interval: 60_000, step: 5_000, ...settings };
    this.#logger = logger;
  }

  /** Resolves at once; the first pass follows. */
  start(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#passIn(0);
    }
    return Promise.resolve();
  }

  /** Lets the step under way end. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#passing;
  }

  #passIn(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#passing = this.#pass();
    }, milliseconds);
  }

  /** Never rejects. */
  async #pass(): Promise<void> {
    try {
      const removed = await this.#removeAll();
      if (removed > 0)
        this.#logger.info({ rows: removed }, 'removed published rows past their retention from the outbox');
      if (this.#away) this.#logger.info('published rows past their retention are removed again');
      this.#away = false;
    } catch (error) {
      // Told once: the database is away for others, too.
      if (!this.#away) this.#logger.warn({ err: error }, 'published rows past their retention stay: trying again');
      this.#away = true;
    }
    if (this.#running) this.#passIn(this.#settings.interval);
  }

  async #removeAll(): Promise<number> {
    const { step, retention } = this.#settings;
    let removed = 0;
    let lowest: number | null = null;
    let from = this.#from;
    while (this.#running) {
      const done = await this.#rows.removeSettled(from, step, retention);
      removed += done.removed;
      lowest ??= done.stayed;
      if (done.next === null) break;
      from = done.next;
    }
    this.#from = lowest ?? from;
    return removed;
  }
}
