/** What is read of the sequence of ids: the last that was given, then the transactions that may still use one. */
export interface SequenceLook {
  readonly lastId: number;
  /** Virtual transaction ids of those that have taken ids. */
  readonly writers: readonly string[];
}

/** How PostgreSQL names a prepared transaction. Which one it was before is not to be seen. */
const PREPARED = '-1/';

/**
 * The id below which every row that will ever exist is visible to a statement that begins now.
 *
 * A look reads the last id L, and after that who holds the lock of nextval() on the sequence. Whoever took an id up to L had that lock
 * then, or had ended. Once none of the transactions that were seen holds it any more, all ids up to L are decided, for a lock
 * is given back after a commit has become visible: whatever begins later sees L and all below. Ids are given out by one
 * sequence without a cache, and a transaction that is rolled back leaves a gap, no more.
 */
export class OutboxHorizon {
  readonly #look: () => Promise<SequenceLook>;
  readonly #interval: number;
  readonly #now: () => number;
  #horizon = 1;
  /** The last id of a look, and those of its writers that have not been seen to end. */
  #waiting: { readonly lastId: number; readonly writers: ReadonlySet<string> } | null = null;
  #lookedAt = -Infinity;

  /** @param interval Milliseconds between two looks, at least. @param now Monotonic, in milliseconds. */
  constructor(look: () => Promise<SequenceLook>, interval: number, now: () => number) {
    this.#look = look;
    this.#interval = interval;
    this.#now = now;
  }

  /** Every lower id is visible to a statement that begins after this has resolved, or will never exist. Rejects as the look does. */
  async now(): Promise<number> {
    const now = this.#now();
    if (now - this.#lookedAt < this.#interval) return this.#horizon;
    const { lastId, writers } = await this.#look();
    this.#lookedAt = now;
    const prepared = writers.some((writer) => writer.startsWith(PREPARED));
    const left = new Set(writers);
    if (this.#waiting !== null && !prepared && left.isDisjointFrom(this.#waiting.writers)) {
      this.#horizon = this.#waiting.lastId + 1;
      this.#waiting = null;
    }
    if (writers.length === 0) this.#horizon = lastId + 1;
    else this.#waiting ??= { lastId, writers: left };
    return this.#horizon;
  }
}
