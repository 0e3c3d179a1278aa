import type { Advance, NewEventsReader, Position, StoredEvent } from '../events/ports.ts';
import { octetsOf, toStoredEvent, type MeasuredEventRow } from './event-row.ts';
import type { Read } from './read.ts';
import { sql } from './sql.ts';

const NEW_EVENTS = { name: 'new-events', text: sql('events/new-events') };

/** Most that one query carries. The first event of a position, and the first of all, come whatever their size. */
export interface NewEventsBounds {
  readonly eventsPerPosition: number;
  readonly bytesPerPosition: number;
  readonly events: number;
  readonly bytes: number;
}

const DEFAULT_BOUNDS: NewEventsBounds = {
  eventsPerPosition: 50,
  bytesPerPosition: 64 * 1024,
  events: 2_000,
  bytes: 4 * 1024 * 1024,
};

interface NewEventRow extends MeasuredEventRow {
  /** Which position, from 1. */
  readonly n: number;
}

export function createNewEventsReader(read: Read, bounds: NewEventsBounds = DEFAULT_BOUNDS): NewEventsReader {
  return {
    async readNewEvents(positions) {
      const rows = await read<NewEventRow>(NEW_EVENTS, [
        positions.map(({ sessionId }) => sessionId),
        positions.map(({ after }) => after),
        bounds.eventsPerPosition,
        bounds.bytesPerPosition,
        bounds.events,
        bounds.bytes,
      ]);
      const cut = rows.length >= bounds.events || octetsOf(rows) >= bounds.bytes;
      const rowsOf = Map.groupBy(rows, ({ n }) => n);
      return positions.map((position, index) => advanceOf(position, rowsOf.get(index + 1) ?? [], { cut, bounds }));
    },
  };
}

function advanceOf(
  position: Position,
  rows: readonly NewEventRow[],
  { cut, bounds }: { readonly cut: boolean; readonly bounds: NewEventsBounds },
): Advance {
  const events = withoutGap(position, rows.map(toStoredEvent));
  // Where the bounds ended the query, what was not reached looks like what has nothing new.
  const more = cut || rows.length >= bounds.eventsPerPosition || octetsOf(rows) >= bounds.bytesPerPosition;
  return { position, events, more };
}

/** Versions are stored without a gap. If the bounds ever cut in another order than that of versions, what lies behind waits. */
function withoutGap({ after }: Position, events: readonly StoredEvent[]): readonly StoredEvent[] {
  const ascending = events.toSorted((a, b) => a.aggregateVersion - b.aggregateVersion);
  const gap = ascending.findIndex((event, index) => event.aggregateVersion !== after + 1 + index);
  return gap === -1 ? ascending : ascending.slice(0, gap);
}
