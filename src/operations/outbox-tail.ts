import type { OutboxPage, OutboxPlace, ReconcileStore } from './ports.ts';

/** Rows that one statement reads. */
const PAGE = 5_000;
/** Rows that are waited for; while there are more, no further ones are read. */
const MOST_OPEN = 100_000;

/**
 * Gives each row of the outbox once, as soon as its publication can be checked: in memory that does not grow with the table. An id
 * that is missing may belong to a transaction that has not ended: it is asked for again until all have that had begun.
 */
export class OutboxTail {
  readonly #store: Pick<ReconcileStore, 'rowsAfter' | 'rowsOf'>;
  /** Everything up to here was looked at once. */
  #cursor: number;
  /** Rows that are not settled yet, or not to be checked yet. */
  readonly #open = new Set<number>();
  /** Ids without a row: the transactions that must have ended before it counts as never used; null: not known before the next look. */
  readonly #holes = new Map<number, bigint | null>();

  /** @param after The highest id that needs no check. */
  constructor(store: Pick<ReconcileStore, 'rowsAfter' | 'rowsOf'>, after: number) {
    this.#store = store;
    this.#cursor = after;
  }

  /** How many rows are waited for. */
  get waiting(): number {
    return this.#open.size + this.#holes.size;
  }

  /** @param check Whether the row is done with. */
  async look(check: (row: OutboxPlace) => Promise<boolean>): Promise<void> {
    // The page first: what it says of transactions holds for the rows that are read later.
    let page = await this.#store.rowsAfter(this.#cursor, PAGE);
    await this.#lookAgain(page, check);
    while (page.rows.length > 0 && this.#open.size < MOST_OPEN) {
      await this.#take(page, check);
      page = await this.#store.rowsAfter(this.#cursor, PAGE);
    }
  }

  async #lookAgain({ oldest, next }: OutboxPage, check: (row: OutboxPlace) => Promise<boolean>): Promise<void> {
    const ids = [...this.#open, ...this.#holes.keys()];
    for (let from = 0; from < ids.length; from += PAGE) {
      for (const row of await this.#store.rowsOf(ids.slice(from, from + PAGE))) {
        this.#holes.delete(row.id);
        if (await check(row)) this.#open.delete(row.id);
        else this.#open.add(row.id);
      }
    }
    for (const [id, until] of this.#holes) {
      // An id is taken shortly before its transaction gets a number: those that had one at the next look are enough.
      if (until === null) this.#holes.set(id, next);
      else if (oldest >= until) this.#holes.delete(id);
    }
  }

  async #take({ rows }: OutboxPage, check: (row: OutboxPlace) => Promise<boolean>): Promise<void> {
    for (const row of rows) {
      const done = await check(row);
      for (let hole = this.#cursor + 1; hole < row.id && this.#holes.size < MOST_OPEN; hole += 1) {
        this.#holes.set(hole, null);
      }
      if (!done) this.#open.add(row.id);
      this.#cursor = row.id;
    }
  }
}
