import { orAborted } from './backoff.ts';

/** Bounds how many records are worked on at a time: when all slots are taken, reading waits. */
export class Slots {
  readonly #most: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(most: number) {
    this.#most = most;
  }

  /** @throws when the signal aborts before a slot is free */
  async take(signal: AbortSignal): Promise<void> {
    while (this.#taken >= this.#most) await this.#change(signal);
    signal.throwIfAborted();
    this.#taken += 1;
  }

  give(): void {
    this.#taken -= 1;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Waits until no slot is taken, for some milliseconds at most. */
  async allFree(milliseconds: number): Promise<void> {
    const signal = AbortSignal.timeout(milliseconds);
    while (this.#taken > 0 && !signal.aborted) await this.#change(signal).catch(() => undefined);
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    await orAborted(promise, signal);
  }
}
