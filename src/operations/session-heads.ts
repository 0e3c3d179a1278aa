/** How far the stream of a session was read. */
interface Head {
  /** Highest sequence. */
  high: number;
  /** Lower ones that were passed over; as many as are kept. */
  readonly missing: Set<number>;
}

/**
 * Where a record stands in the stream of its session.
 * - `unknown`: nothing is remembered of the session.
 * - `next`: directly after the last.
 * - `late`: it was passed over before.
 * - `repeated`: it was read before.
 * - `ahead`: something before it was not read; `after` is the last that was.
 */
export type StreamPlace =
  | { readonly kind: 'unknown' | 'next' | 'late' | 'repeated' }
  | { readonly kind: 'ahead'; readonly after: number };

/** Of one session. */
const MOST_MISSING = 100;

/** The last record of each of the sessions that were heard of last. */
export class SessionHeads {
  readonly #most: number;
  /** The session that was heard of longest ago comes first. */
  readonly #heads = new Map<string, Head>();

  /** @param most Sessions that are remembered, some 200 bytes each. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Places a record, and remembers it. */
  place(sessionId: string, sequence: number): StreamPlace {
    const head = this.#heads.get(sessionId);
    this.#heads.delete(sessionId);
    this.#heads.set(sessionId, head ?? { high: sequence, missing: new Set() });
    this.#forgetOldest();
    if (head === undefined) return { kind: sequence === 1 ? 'next' : 'unknown' };
    if (sequence <= head.high) return { kind: head.missing.delete(sequence) ? 'late' : 'repeated' };
    const after = head.high;
    for (let missed = after + 1; missed < sequence && head.missing.size < MOST_MISSING; missed += 1) {
      head.missing.add(missed);
    }
    head.high = sequence;
    return sequence === after + 1 ? { kind: 'next' } : { kind: 'ahead', after };
  }

  /** It is known otherwise that this one was not read. */
  passedOver(sessionId: string, sequence: number): void {
    this.#heads.get(sessionId)?.missing.add(sequence);
  }

  #forgetOldest(): void {
    if (this.#heads.size <= this.#most) return;
    for (const oldest of this.#heads.keys()) {
      this.#heads.delete(oldest);
      return;
    }
  }
}
