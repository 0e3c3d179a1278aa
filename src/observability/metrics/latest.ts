import { setTimeout as delay } from 'node:timers/promises';

/** Milliseconds. */
export interface LatestLimits {
  /** For how long an answer is given again. */
  readonly keep: number;
  /** How long somebody waits for a new one. */
  readonly wait: number;
  /** For how long the one before still serves when a new one takes longer than that. */
  readonly serve: number;
}

/**
 * What somebody was asked, kept for a while, so that who asks often costs no more than who asks seldom. One question at a time; an
 * answer that comes too late for one who asked is there for the next.
 */
export class Latest<Value> {
  readonly #ask: () => Promise<Value>;
  readonly #limits: LatestLimits;
  #asking: Promise<void> | null = null;
  #answer: { readonly value: Value; readonly at: number } | null = null;
  #error: unknown = null;

  /** @param ask Must end by itself. */
  constructor(ask: () => Promise<Value>, limits: LatestLimits) {
    this.#ask = ask;
    this.#limits = limits;
  }

  /** Null: there is no answer, or not in time. Never rejects. */
  async get(): Promise<Value | null> {
    const { keep, wait, serve } = this.#limits;
    const kept = this.#within(keep);
    if (kept !== null) return kept.value;
    this.#asking ??= this.#begin();
    await Promise.race([this.#asking, delay(wait, undefined, { ref: false })]);
    return this.#within(Math.max(keep, serve))?.value ?? null;
  }

  /** What the last question failed with; null: it was answered, or is not answered yet. */
  get error(): unknown {
    return this.#error;
  }

  #within(age: number): { readonly value: Value } | null {
    return this.#answer === null || performance.now() - this.#answer.at > age ? null : this.#answer;
  }

  /** Where there is no answer, there is none: the one before is forgotten. */
  async #begin(): Promise<void> {
    try {
      this.#answer = { value: await Promise.try(this.#ask), at: performance.now() };
      this.#error = null;
    } catch (error) {
      this.#answer = null;
      this.#error = error;
    } finally {
      this.#asking = null;
    }
  }
}
