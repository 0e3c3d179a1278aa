import type { SessionId } from '../genesis/ids.ts';
import type { Service } from '../service.ts';
import type { Advance, NewEventsReader, Position, StoredEvent } from './ports.ts';

/** Milliseconds between looks at all followed sessions: what another process wrote is seen after this at most. */
const LOOK_INTERVAL = 1_000;
/** Most places in histories that one query asks for. */
const POSITIONS_MAX = 10_000;

/** Takes the next event of a session. False: no further one until `resume`. Must not throw. */
export type TakeEvent = (event: StoredEvent) => boolean;

export interface Subscription {
  /** There is room again. */
  resume(): void;
  close(): void;
}

/** What whoever follows sessions needs of this room. */
export interface FollowEvents {
  /** Hands over each event after `position`, in order, once, from now until `close`. */
  follow(position: Position, take: TakeEvent): Subscription;
}

export interface FeedOptions {
  /** Milliseconds between looks at all followed sessions. Default 1,000. */
  readonly lookInterval?: number;
  /** Called when reading begins to fail; until it works again readers merely wait. */
  readonly onOutage: (error: unknown) => void;
  readonly onRecovery: () => void;
}

/** One that follows a session: `after` is its watermark, the version it took last. */
interface Reader {
  readonly sessionId: SessionId;
  readonly take: TakeEvent;
  after: number;
  /** Whether it has room. While it has none it is asked for in no query. */
  ready: boolean;
}

/**
 * Tells many readers of many sessions what is new, with one query for all of them: at a hint for the sessions that it names, and
 * at every look for all. Versions have no gap within a session, so "above the watermark" misses nothing, whatever commits late.
 *
 * At most one query is under way; a hint that comes meanwhile is kept for the next. Readers at the same place share what is
 * read. Nothing is kept for a reader without room: it is read again from its watermark once it has some.
 */
export class EventFeed implements Service, FollowEvents {
  readonly name = 'event feed';
  readonly #source: NewEventsReader;
  readonly #options: FeedOptions;
  readonly #readers = new Map<SessionId, Set<Reader>>();
  /** Sessions to look at next, the longest waiting first. */
  readonly #due = new Set<SessionId>();
  #timer: NodeJS.Timeout | null = null;
  #busy = false;
  #drained: Promise<void> = Promise.resolve();
  #outage = false;

  constructor(source: NewEventsReader, options: FeedOptions) {
    this.#source = source;
    this.#options = options;
  }

  start(): Promise<void> {
    this.#timer ??= setInterval(() => this.#look(), this.#options.lookInterval ?? LOOK_INTERVAL);
    return Promise.resolve();
  }

  /** Lets the query under way end; readers get nothing more. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#drained;
  }

  /** Says that a session may have new events. Costs nothing if nobody follows it. */
  wake(sessionId: SessionId): void {
    if (!this.#readers.has(sessionId)) return;
    this.#due.add(sessionId);
    this.#pump();
  }

  follow({ sessionId, after }: Position, take: TakeEvent): Subscription {
    const reader: Reader = { sessionId, take, after, ready: true };
    const readers = this.#readers.get(sessionId) ?? new Set();
    this.#readers.set(sessionId, readers.add(reader));
    this.wake(sessionId);
    return {
      resume: () => {
        reader.ready = true;
        this.wake(sessionId);
      },
      close: () => {
        reader.ready = false;
        readers.delete(reader);
        if (readers.size === 0 && this.#readers.get(sessionId) === readers) this.#readers.delete(sessionId);
      },
    };
  }

  #look(): void {
    for (const sessionId of this.#readers.keys()) this.#due.add(sessionId);
    this.#pump();
  }

  #pump(): void {
    if (!this.#busy) this.#drained = this.#drain();
  }

  /** Reads until nothing is due. Never rejects. Between finding nothing due and being no longer busy there is no gap for a hint. */
  async #drain(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#timer !== null) {
        const positions = this.#takeDue();
        if (positions.length === 0) return;
        const advances = await this.#source.readNewEvents(positions);
        this.#recovered();
        for (const advance of advances) this.#deliver(advance);
        this.#keepDue(advances);
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
  }

  /** Places to read from, each once. A session leaves `due` before it is read: what is hinted from now on is read again. */
  #takeDue(): readonly Position[] {
    const positions: Position[] = [];
    for (const sessionId of this.#due) {
      if (positions.length >= POSITIONS_MAX) break;
      this.#due.delete(sessionId);
      for (const after of this.#watermarks(sessionId)) positions.push({ sessionId, after });
    }
    return positions;
  }

  #watermarks(sessionId: SessionId): ReadonlySet<number> {
    const watermarks = new Set<number>();
    for (const reader of this.#readers.get(sessionId) ?? []) if (reader.ready) watermarks.add(reader.after);
    return watermarks;
  }

  #deliver({ position, events }: Advance): void {
    for (const reader of this.#readers.get(position.sessionId) ?? []) {
      if (reader.after === position.after) hand(reader, events);
    }
  }

  /** What the query had no room for is read next: first those that got nothing, lest long histories starve the others. */
  #keepDue(advances: readonly Advance[]): void {
    const unfinished = advances.filter(({ more, position }) => more && this.#readers.has(position.sessionId));
    const [fed, unfed] = [
      unfinished.filter(({ events }) => events.length > 0),
      unfinished.filter(({ events }) => events.length === 0),
    ];
    for (const { position } of [...unfed, ...fed]) this.#due.add(position.sessionId);
  }

  #failed(error: unknown): void {
    // The next look asks for every session again.
    if (!this.#outage) this.#options.onOutage(error);
    this.#outage = true;
  }

  #recovered(): void {
    if (this.#outage) this.#options.onRecovery();
    this.#outage = false;
  }
}

function hand(reader: Reader, events: readonly StoredEvent[]): void {
  for (const event of events) {
    if (!reader.ready) return;
    reader.after = event.aggregateVersion;
    // `take` may close the reader: then it stays without room.
    if (!reader.take(event)) reader.ready = false;
  }
}
