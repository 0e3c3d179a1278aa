import { isDeepStrictEqual } from 'node:util';
import type { Projection } from './ports.ts';

/** What authors wrote: a difference in it is told without showing it. */
const CONTENT = new Set(['title', 'idea', 'confirmed_data']);

/** Every column of genesis_sessions but its key. */
function columnsOf({ session, schemaLevel }: Projection): Readonly<Record<string, unknown>> {
  return {
    user_id: session.userId,
    status: session.status,
    current_stage: session.currentStage,
    title: session.title,
    idea: session.idea,
    confirmed_data: session.confirmedData,
    version: session.version,
    last_event_id: session.lastEventId,
    outstanding_request: session.outstandingRequest?.requestId ?? null,
    outstanding_event: session.outstandingRequest?.eventId ?? null,
    schema_level: schemaLevel,
    created_at: session.createdAt,
    updated_at: session.updatedAt,
  };
}

/** In which columns a row is not what the events say, in words: `version is 3, not 4`. */
export function differingColumns(actual: Projection, expected: Projection): readonly string[] {
  const [is, should] = [columnsOf(actual), columnsOf(expected)];
  return Object.keys(should)
    .filter((column) => !isDeepStrictEqual(is[column], should[column]))
    .map((column) =>
      CONTENT.has(column)
        ? `${column} is another`
        : `${column} is ${String(is[column])}, not ${String(should[column])}`,
    );
}
