import type { SessionEvent } from './read-record.ts';

/** Where an event stands in the stream of its session, as far as this consumer has read it. */
export type Place =
  /** The one after the last, or the first that is seen of this session. */
  | { readonly kind: 'next' }
  /** Seen before: a repetition. */
  | { readonly kind: 'repeated' }
  /** Something is missing before it, or the event before is not the one it names. */
  | { readonly kind: 'gap'; readonly after: number; readonly sequence: number };

/**
 * Proves a session's stream complete: every event carries its `sequence` (1, 2, 3 …) and names the `previous` one. Bounded: of a
 * session that was not heard of for long the place is forgotten, and its next event is believed.
 */
export class StreamCheck {
  readonly #most: number;
  /** The session that was heard of longest ago comes first. */
  readonly #last = new Map<string, { readonly sequence: number; readonly eventId: string }>();

  constructor(most: number) {
    this.#most = most;
  }

  place({ sessionId, sequence, previous, eventId }: SessionEvent): Place {
    const last = this.#last.get(sessionId);
    if (last !== undefined && sequence <= last.sequence) return { kind: 'repeated' };
    this.#last.delete(sessionId);
    this.#last.set(sessionId, { sequence, eventId });
    this.#forgetOldest();
    if (last === undefined || (sequence === last.sequence + 1 && previous === last.eventId)) return { kind: 'next' };
    return { kind: 'gap', after: last.sequence, sequence };
  }

  #forgetOldest(): void {
    if (this.#last.size <= this.#most) return;
    for (const oldest of this.#last.keys()) {
      this.#last.delete(oldest);
      return;
    }
  }
}
