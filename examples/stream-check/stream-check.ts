/** What the check reads of a record: its key and its headers. */
export interface CheckedRecord {
  /** The record's key: the session. */
  readonly key: string;
  readonly headers: ReadonlyMap<string, string>;
}

/**
 * What a record says about the stream of its session.
 * - `ok`: it follows the one before, by number and by name.
 * - `unproven`: nothing is remembered of the session, and it is not its first event: whether something is missing cannot be told.
 * - `duplicate`: it was read before. Harmless for whoever expects it.
 * - `gap`: the events from `from` to `to` were not read before it. Should they come yet, each is `reordered`.
 * - `reordered`: it was missing, and comes now, behind a later one.
 * - `fork`: it names another event before it than the one that was read, or another event was read in its place.
 * - `unreadable`: it is no record of an event.
 */
export type Verdict =
  | { readonly kind: 'ok' | 'unproven' | 'duplicate' | 'reordered' | 'unreadable' }
  | { readonly kind: 'gap'; readonly from: number; readonly to: number }
  | { readonly kind: 'fork'; readonly expected: string; readonly found: string };

/** What is remembered of a session: some 300 bytes. */
interface Head {
  sequence: number;
  eventId: string;
  readonly missing: Set<number>;
}

/** Missing events that are remembered of one session; of a larger gap the last. */
const MOST_MISSING = 100;

/**
 * Proves, record by record, that a stream of Genesis is complete and in order: each event carries its number in the session
 * (`sequence`: 1, 2, 3 …) and names the one before it (`previous`). Give it the records of a partition in their order; partitions in
 * any mixture.
 */
export class StreamCheck {
  readonly #most: number;
  /** The session that was heard of longest ago comes first. */
  readonly #heads = new Map<string, Head>();

  /** @param most Sessions that are remembered. A session that is forgotten begins anew as `unproven`. */
  constructor(most = 100_000) {
    this.#most = most;
  }

  check(record: CheckedRecord): Verdict {
    const event = read(record);
    if (event === null) return { kind: 'unreadable' };
    const { sequence, eventId } = event;
    const head = this.#heads.get(record.key);
    this.#touch(record.key, head ?? { sequence, eventId, missing: new Set() });
    if (head === undefined) return first(event);
    return sequence > head.sequence ? advance(head, event) : behind(head, event);
  }

  #touch(key: string, head: Head): void {
    this.#heads.delete(key);
    this.#heads.set(key, head);
    if (this.#heads.size <= this.#most) return;
    for (const oldest of this.#heads.keys()) {
      this.#heads.delete(oldest);
      return;
    }
  }
}

interface Event {
  readonly sequence: number;
  readonly eventId: string;
  /** '' for none. */
  readonly previous: string;
}

function read({ key, headers }: CheckedRecord): Event | null {
  const sequence = Number(headers.get('sequence'));
  const eventId = headers.get('ce_id') ?? '';
  const readable = key !== '' && eventId !== '' && Number.isSafeInteger(sequence) && sequence >= 1;
  return readable ? { sequence, eventId, previous: headers.get('previous') ?? '' } : null;
}

function first({ sequence, previous }: Event): Verdict {
  if (sequence > 1) return { kind: 'unproven' };
  return previous === '' ? { kind: 'ok' } : { kind: 'fork', expected: '', found: previous };
}

function advance(head: Head, { sequence, eventId, previous }: Event): Verdict {
  const before = { ...head };
  head.sequence = sequence;
  head.eventId = eventId;
  const [from, to] = [before.sequence + 1, sequence - 1];
  if (from <= to) {
    for (let one = Math.max(from, to - MOST_MISSING + 1); one <= to; one += 1) head.missing.add(one);
    return { kind: 'gap', from, to };
  }
  return previous === before.eventId ? { kind: 'ok' } : { kind: 'fork', expected: before.eventId, found: previous };
}

function behind(head: Head, { sequence, eventId }: Event): Verdict {
  if (head.missing.delete(sequence)) return { kind: 'reordered' };
  const other = sequence === head.sequence && eventId !== head.eventId;
  return other ? { kind: 'fork', expected: head.eventId, found: eventId } : { kind: 'duplicate' };
}
