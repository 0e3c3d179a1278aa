/** What commands come to behind the door. */
export interface CommandQueue {
  /** Commands that it takes now; one more is refused. */
  readonly room: number;
  /** @param listener Called whenever places have become free; takes the place of the one given before. Must be cheap, and not throw. */
  whenRoom(listener: () => void): void;
}

export interface DoorSettings {
  /** Milliseconds that somebody waits for a place at the most. */
  readonly patience: number;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

/** A request that has come to the door. */
export interface Visitor {
  letIn(place: Place): void;
  /** It has waited for as long as one may. */
  turnAway(): void;
  /** Nobody waits for its answer any more. */
  readonly gone: boolean;
}

/** A place in the queue that is kept for a visitor on its way there. */
export interface Place {
  /** Milliseconds that the visitor has waited at the door. */
  readonly waited: number;
  /** The visitor has come to the queue, or will not come. May be called again. */
  leave(): void;
}

/**
 * Milliseconds for which a place is kept. Looking at a token and reading a body take less than one, unless the client sends slowly: then
 * its place is the next one's, and it may find the queue full.
 */
const PLACE_KEPT = 1_000;

interface Waiting {
  readonly visitor: Visitor;
  readonly since: number;
}

/**
 * Where commands wait while the queue is full, before anything of them is looked at: in the order in which they came, and for `patience`
 * at the most. Who comes while others wait goes behind them. As many wait as there are connections.
 */
export class Door {
  readonly #queue: CommandQueue;
  readonly #patience: number;
  readonly #now: () => number;
  readonly #waiting: Waiting[] = [];
  /** Places that are kept, and since when; the oldest first. */
  readonly #kept = new Map<Place, number>();
  #alarm: NodeJS.Timeout | null = null;

  constructor(queue: CommandQueue, { patience, now = () => performance.now() }: DoorSettings) {
    this.#queue = queue;
    this.#patience = patience;
    this.#now = now;
    queue.whenRoom(() => this.look());
  }

  /** Requests that wait for a place. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Lets the visitor in, at once when there is a place and nobody waits for it, or turns it away. */
  come(visitor: Visitor): void {
    const now = this.#now();
    if (this.#waiting.length === 0 && this.#freePlaces(now) > 0) {
      visitor.letIn(this.#keep(now, 0));
      return;
    }
    this.#waiting.push({ visitor, since: now });
    this.look();
  }

  /** Lets in those for whom there is a place by now, and turns away who has waited for too long. To be called when a visitor's request has ended. */
  look(): void {
    if (this.#waiting.length === 0) return;
    const now = this.#now();
    const { admitted, turnedAway } = this.#next(now);
    // Places first: what the visitors do may lead here again.
    const places = admitted.map(({ since }) => this.#keep(now, now - since));
    this.#setAlarm(now);
    for (const { visitor } of turnedAway) visitor.turnAway();
    for (const [index, place] of places.entries()) admitted[index]?.visitor.letIn(place);
  }

  /** Takes from the line those whose waiting is over. */
  #next(now: number): { readonly admitted: readonly Waiting[]; readonly turnedAway: readonly Waiting[] } {
    const free = this.#freePlaces(now);
    const admitted: Waiting[] = [];
    const turnedAway: Waiting[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.visitor.gone || now - waiting.since >= this.#patience) turnedAway.push(waiting);
      else if (admitted.length < free) admitted.push(waiting);
      else break;
    }
    this.#waiting.splice(0, admitted.length + turnedAway.length);
    return { admitted, turnedAway };
  }

  #freePlaces(now: number): number {
    const free = this.#queue.room - this.#kept.size;
    if (free > 0) return free;
    for (const [place, since] of this.#kept) {
      if (now - since < PLACE_KEPT) break;
      this.#kept.delete(place);
    }
    return this.#queue.room - this.#kept.size;
  }

  #keep(now: number, waited: number): Place {
    const place: Place = { waited, leave: () => void this.#kept.delete(place) };
    this.#kept.set(place, now);
    return place;
  }

  /** When the patience of the first one ends. */
  #setAlarm(now: number): void {
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    const [first] = this.#waiting;
    const wake = (): void => {
      this.#alarm = null;
      this.look();
    };
    this.#alarm =
      first === undefined ? null : setTimeout(wake, Math.max(1, Math.ceil(first.since + this.#patience - now)));
  }
}
