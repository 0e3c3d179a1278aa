/** A number from 0 to 1, the same ones for the same seed. */
export type Chance = () => number;

interface Event {
  readonly at: number;
  readonly run: () => unknown;
}

/** Time that passes only when it is told to. */
export class SimulatedTime {
  /** Milliseconds since the beginning. */
  now = 0;
  readonly #events: Event[] = [];

  after(milliseconds: number, run: () => unknown): void {
    const event = { at: this.now + milliseconds, run };
    const later = this.#events.findIndex(({ at }) => at > event.at);
    this.#events.splice(later === -1 ? this.#events.length : later, 0, event);
  }

  /** What happens until then, one after the other; `then` is called after each, when what follows from it has been done. */
  async run(until: number, then: () => void): Promise<void> {
    for (;;) {
      const [next] = this.#events;
      if (next === undefined || next.at > until) break;
      this.#events.shift();
      this.now = next.at;
      await next.run();
      await this.settle();
      then();
    }
    this.now = until;
  }

  /** Lets everything that waits for nothing but a promise go on. */
  settle(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** Mulberry32. */
  chance(seed: number): Chance {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
    };
  }
}
