import { v7 as uuidv7 } from 'uuid';
import type { Advance, NewEventsReader, Position, StoredEvent } from '../../src/events/ports.ts';
import type { CommandId, EventId, SessionId } from '../../src/genesis/ids.ts';

export const aSession = () => uuidv7() as SessionId;

/** Histories in memory, read as from the database: bounded, and only when the test lets a query go on. */
export class RecordedHistory implements NewEventsReader {
  /** The positions of each query. */
  readonly queries: (readonly Position[])[] = [];
  /** Most events per position and per query. */
  readonly bounds: { perPosition: number; inAll: number };
  failure: Error | null = null;
  /** Runs while a query is under way, after it has seen what it will answer. */
  meanwhile: () => void | Promise<void> = () => undefined;
  readonly #events = new Map<SessionId, StoredEvent[]>();

  constructor(bounds = { perPosition: 50, inAll: 2_000 }) {
    this.bounds = bounds;
  }

  append(sessionId: SessionId, count = 1): void {
    const events = this.#events.get(sessionId) ?? [];
    this.#events.set(sessionId, events);
    for (let index = 0; index < count; index += 1) events.push(anEvent(sessionId, events.length + 1));
  }

  async readNewEvents(positions: readonly Position[]): Promise<readonly Advance[]> {
    this.queries.push(positions);
    const failure = this.failure;
    let room = this.bounds.inAll;
    const found = positions.map((position) => {
      const all = this.#events.get(position.sessionId)?.slice(position.after) ?? [];
      const events = all.slice(0, Math.min(this.bounds.perPosition, room));
      room -= events.length;
      return { position, events };
    });
    await this.meanwhile();
    if (failure !== null) throw failure;
    return found.map((advance) => ({
      ...advance,
      more: room === 0 || advance.events.length === this.bounds.perPosition,
    }));
  }
}

function anEvent(sessionId: SessionId, aggregateVersion: number): StoredEvent {
  return {
    eventId: uuidv7() as EventId,
    eventType: 'Genesis.Session.Submitted',
    eventVersion: 1,
    sessionId,
    aggregateVersion,
    correlationId: uuidv7() as CommandId,
    causationId: uuidv7() as CommandId,
    occurredAt: 0,
    payload: { stage: 'CONCEPT_SELECTION', feedback: 'Darker', target: null },
  };
}
