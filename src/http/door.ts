/** What commands come to behind the door. */
export interface CommandQueue {
  /** Commands that it takes now; one more is refused. */
  readonly room: number;
  /** @param listener Called when there may be room again, at least once for each place that has become free; takes the place of the one given before. Must be cheap, and not throw. */
  whenRoom(listener: () => void): void;
}

export interface DoorSettings {
  /** Milliseconds that somebody waits for a place at the most. */
  readonly patience: number;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

/** A request that has come to the door. Its methods must not throw. */
export interface Visitor {
  /** What it came on. One visitor of each waits; what is sent behind it before it was answered is turned away. */
  readonly connection: object;
  letIn(place: Place): void;
  /** It has waited for as long as one may, or another one waits on its connection. */
  turnAway(): void;
}

/** A place in the queue that is kept for a visitor on its way there. Once it is taken, given back or lapsed, nothing that is done with it matters. */
export interface Place {
  /** Milliseconds that the visitor has waited at the door. */
  readonly waited: number;
  /** The visitor enters the queue now, and is counted there. */
  take(): void;
  /** The visitor will not come: the place is the next one's, at once. */
  giveBack(): void;
}

/**
 * Share of the patience for which a place is kept. Looking at a token and reading a body take some milliseconds, unless the client sends
 * slowly: then its place is the next one's while there is patience left, and it may find the queue full.
 */
const KEPT_SHARE = 0.5;

/**
 * Where commands wait while the queue is full, before anything of them is looked at: in the order in which they came, and for `patience`
 * at the most. Who comes while others wait goes behind them. As many wait as there are connections.
 */
export class Door {
  readonly #queue: CommandQueue;
  readonly #patience: number;
  readonly #now: () => number;
  /** Who waits, and since when; the first that came first. */
  readonly #waiting = new Map<Visitor, number>();
  readonly #connections = new Set<object>();
  /** Places that are kept, and since when; the oldest first. */
  readonly #kept = new Map<Place, number>();
  #alarm: NodeJS.Timeout | null = null;

  constructor(queue: CommandQueue, { patience, now = () => performance.now() }: DoorSettings) {
    this.#queue = queue;
    this.#patience = patience;
    this.#now = now;
    queue.whenRoom(() => this.#look());
  }

  /** Requests that wait for a place. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Lets the visitor in, at once when there is a place and nobody waits for it, or turns it away. */
  come(visitor: Visitor): void {
    const now = this.#now();
    if (this.#waiting.size === 0 && this.#freePlaces(now) > 0) visitor.letIn(this.#keep(now, 0));
    else if (this.#connections.has(visitor.connection)) visitor.turnAway();
    else {
      this.#waiting.set(visitor, now);
      this.#connections.add(visitor.connection);
      this.#look();
    }
  }

  /** Nobody waits for the visitor's answer any more: nothing is told to it. */
  leave(visitor: Visitor): void {
    if (!this.#waiting.has(visitor)) return;
    this.#remove(visitor);
    if (this.#waiting.size === 0) this.#clearAlarm();
  }

  /** Lets in those for whom there is a place by now, and turns away who has waited for too long. */
  #look(): void {
    if (this.#waiting.size === 0) return;
    const now = this.#now();
    const { admitted, turnedAway } = this.#next(now);
    // Places first: what the visitors do may lead here again.
    const places = admitted.map(([, since]) => this.#keep(now, now - since));
    this.#setAlarm(now);
    for (const visitor of turnedAway) visitor.turnAway();
    for (const [index, place] of places.entries()) admitted[index]?.[0].letIn(place);
  }

  /** Takes from the line those whose waiting is over. Whom a standstill kept beyond its time is let in rather than turned away if there is a place. */
  #next(now: number) {
    const free = this.#freePlaces(now);
    const admitted: (readonly [Visitor, number])[] = [];
    const turnedAway: Visitor[] = [];
    for (const [visitor, since] of this.#waiting) {
      if (admitted.length < free) admitted.push([visitor, since]);
      else if (now - since >= this.#patience) turnedAway.push(visitor);
      else break;
      this.#remove(visitor);
    }
    return { admitted, turnedAway };
  }

  #remove(visitor: Visitor): void {
    this.#waiting.delete(visitor);
    this.#connections.delete(visitor.connection);
  }

  get #keptFor(): number {
    return this.#patience * KEPT_SHARE;
  }

  #freePlaces(now: number): number {
    const free = this.#queue.room - this.#kept.size;
    if (free > 0) return free;
    for (const [place, since] of this.#kept) {
      if (now - since < this.#keptFor) break;
      this.#kept.delete(place);
    }
    return this.#queue.room - this.#kept.size;
  }

  #keep(now: number, waited: number): Place {
    const place: Place = {
      waited,
      take: () => void this.#kept.delete(place),
      giveBack: () => {
        if (this.#kept.delete(place)) this.#look();
      },
    };
    this.#kept.set(place, now);
    return place;
  }

  /** When the patience of the first one ends, or a place lapses that it may have. */
  #setAlarm(now: number): void {
    this.#clearAlarm();
    const [first] = this.#waiting.values();
    if (first === undefined) return;
    const [oldest = Infinity] = this.#kept.values();
    const due = Math.min(first + this.#patience, oldest + this.#keptFor);
    this.#alarm = setTimeout(() => this.#look(), Math.max(1, Math.ceil(due - now)));
  }

  #clearAlarm(): void {
    if (this.#alarm !== null) clearTimeout(this.#alarm);
    this.#alarm = null;
  }
}
