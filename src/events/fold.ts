import { levelOf } from '../genesis/event-schemas.ts';
import { evolve } from '../genesis/evolve.ts';
import type { Session } from '../genesis/session.ts';
import type { UserId } from '../genesis/ids.ts';
import { upcast } from '../genesis/upcast.ts';
import type { HistoryEvent, Projection } from './ports.ts';

/** What a history comes to. */
export type FoldResult =
  /** What the row of genesis_sessions must be. */
  | { readonly kind: 'projection'; readonly projection: Projection }
  /** There are no events. */
  | { readonly kind: 'nothing' }
  /** An event is newer than this program, which therefore cannot tell what the session is. */
  | { readonly kind: 'tooNew'; readonly event: HistoryEvent }
  /** The events do not make a history: a version is missing or an event cannot follow the one before. */
  | { readonly kind: 'damaged'; readonly reason: string };

/** What every event's metadata holds, as far as it is needed here. */
export interface EventMetadata {
  readonly user_id: UserId;
  readonly traceparent?: string;
}

export function metadataOf(event: HistoryEvent): EventMetadata {
  return JSON.parse(event.metadata) as EventMetadata;
}

/** Folds the events of one session, given one after another in version order; old versions are upcast. */
export class Fold {
  #session: Session | null = null;
  #level = 1;
  #stopped: FoldResult | null = null;

  add(event: HistoryEvent): void {
    if (this.#stopped !== null) return;
    const current = upcast({
      eventType: event.eventType,
      eventVersion: event.eventVersion,
      payload: JSON.parse(event.payload) as unknown,
    });
    const level = levelOf(event.eventType, event.eventVersion);
    if (!current.known || level === null) {
      this.#stopped = { kind: 'tooNew', event };
      return;
    }
    this.#level = Math.max(this.#level, level);
    try {
      this.#session = evolve(this.#session, {
        event: current.event,
        eventId: event.eventId,
        sessionId: event.aggregateId,
        version: event.aggregateVersion,
        userId: metadataOf(event).user_id,
        occurredAt: event.occurredAt,
      });
    } catch (error) {
      this.#stopped = { kind: 'damaged', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  result(): FoldResult {
    if (this.#stopped !== null) return this.#stopped;
    if (this.#session === null) return { kind: 'nothing' };
    return { kind: 'projection', projection: { session: this.#session, schemaLevel: this.#level } };
  }
}
