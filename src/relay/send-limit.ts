import type { DrainOptions } from './drain-context.ts';

/** Between two questions, in milliseconds. */
const ASK_AGAIN_MS = 1_000;
/** A limit that was found lower than expected may be raised again: asked anew after this, in milliseconds. */
const LOWERED_FOR_MS = 60_000;

/**
 * Most bytes of one partition in one send. The topic's limit may be changed while the relay runs: after a batch was refused it is
 * asked for, so that those that follow are not refused one after the other.
 */
export class SendLimit {
  readonly #options: Pick<DrainOptions, 'maxPartitionBytes' | 'askMaxPartitionBytes'>;
  #bytes: number;
  #askAt = Infinity;
  #askedAt = -Infinity;

  constructor(options: Pick<DrainOptions, 'maxPartitionBytes' | 'askMaxPartitionBytes'>) {
    this.#options = options;
    this.#bytes = options.maxPartitionBytes;
  }

  /** A batch of several rows was refused: it may have been too large as a whole. */
  doubt(): void {
    this.#askAt = Math.max(performance.now(), this.#askedAt + ASK_AGAIN_MS);
  }

  /** The limit as it is known; asked for first if it is in doubt. Never rejects. */
  async bytes(): Promise<number> {
    const now = performance.now();
    if (now < this.#askAt || this.#options.askMaxPartitionBytes === undefined) return this.#bytes;
    this.#askedAt = now;
    try {
      this.#bytes = await this.#options.askMaxPartitionBytes();
    } catch {
      // The broker does not tell now: what is refused is halved all the same.
    }
    this.#askAt = this.#bytes < this.#options.maxPartitionBytes ? now + LOWERED_FOR_MS : Infinity;
    return this.#bytes;
  }
}
