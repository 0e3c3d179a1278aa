import { setTimeout as delay } from 'node:timers/promises';

/**
 * What somebody was asked, kept for a while, so that who asks often costs no more than who asks seldom. One question at a time; an
 * answer that comes too late for one who asked is there for the next.
 */
export class Latest<Value> {
  readonly #ask: () => Promise<Value>;
  readonly #keep: number;
  readonly #limit: number;
  #asking: Promise<void> | null = null;
  #value: { readonly value: Value; readonly at: number } | null = null;

  /**
   * @param keep Milliseconds for which an answer is given again.
   * @param limit Milliseconds that somebody waits for an answer.
   */
  constructor(ask: () => Promise<Value>, keep: number, limit: number) {
    this.#ask = ask;
    this.#keep = keep;
    this.#limit = limit;
  }

  /** Null: there is no answer, or not in time. Never rejects. */
  async get(): Promise<Value | null> {
    if (this.#fresh() === null) {
      this.#asking ??= this.#begin();
      await Promise.race([this.#asking, delay(this.#limit, undefined, { ref: false })]);
    }
    return this.#fresh();
  }

  #fresh(): Value | null {
    if (this.#value === null || performance.now() - this.#value.at > this.#keep) return null;
    return this.#value.value;
  }

  async #begin(): Promise<void> {
    try {
      this.#value = { value: await Promise.try(this.#ask), at: performance.now() };
    } catch {
      this.#value = null;
    } finally {
      this.#asking = null;
    }
  }
}
