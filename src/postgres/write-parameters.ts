import type { WriteSet } from '../commands/ports.ts';
import { levelOf } from '../genesis/event-schemas.ts';
import type { SessionId } from '../genesis/ids.ts';
import { timestamp } from '../outbox/envelope.ts';

/**
 * The parameters of commands/write.sql: one time, then one array per column. A change of either is a change of both.
 */
export function writeParameters(rows: WriteSet): readonly unknown[] {
  return [
    endTime(rows),
    ...inboxColumns(rows),
    ...finishedColumns(rows),
    ...sessionColumns(rows),
    ...eventColumns(rows),
    ...outboxColumns(rows),
    inboxTimes(rows),
    outboxTimes(rows),
  ];
}

/** By the database's clock, as all times are: the earliest, because a session's own time may run ahead of that clock. */
function endTime({ events }: WriteSet): string {
  return timestamp(Math.min(...events.map((event) => event.occurredAt)));
}

/** A command's row carries the time of its session, whatever its batch-mates' are. */
function inboxTimes({ inbox, sessions }: WriteSet): readonly (string | null)[] {
  const times = new Map(sessions.map(({ session }) => [session.sessionId, session.updatedAt]));
  return column(inbox, ({ request }) => optionalTimestamp(times.get(request.sessionId)));
}

/** An outbox row carries the time of its event. */
function outboxTimes({ events, outbox }: WriteSet): readonly (string | null)[] {
  const times = new Map(events.map((event) => [event.eventId, event.occurredAt]));
  return column(outbox, ({ eventId }) => optionalTimestamp(times.get(eventId)));
}

/** Null where there is none: the database then refuses the row. */
function optionalTimestamp(time: number | null | undefined): string | null {
  return typeof time === 'number' ? timestamp(time) : null;
}

function column<Row, Value>(rows: readonly Row[], value: (row: Row) => Value): readonly Value[] {
  return rows.map(value);
}

function inboxColumns({ inbox }: WriteSet): readonly unknown[] {
  return [
    column(inbox, ({ request }) => request.commandId),
    column(inbox, ({ request }) => request.sessionId),
    column(inbox, ({ request }) => request.actor.userId),
    column(inbox, ({ request }) => request.command.type),
    column(inbox, ({ request }) => request.idempotencyKey?.key ?? null),
    column(inbox, ({ request }) => request.idempotencyKey?.fingerprint ?? null),
    column(inbox, ({ request }) => JSON.stringify(request.command.payload)),
    column(inbox, ({ status }) => status),
    column(inbox, ({ answer }) => JSON.stringify(answer)),
    column(inbox, ({ firstVersion }) => firstVersion),
    column(inbox, ({ lastVersion }) => lastVersion),
    column(inbox, ({ deadline }) => optionalTimestamp(deadline)),
  ];
}

function finishedColumns({ finished }: WriteSet): readonly unknown[] {
  return [
    column(finished, ({ commandId }) => commandId),
    column(finished, ({ status }) => status),
    column(finished, ({ errorMessage }) => errorMessage),
  ];
}

function sessionColumns({ sessions, events }: WriteSet): readonly unknown[] {
  const levels = levelsOf(events);
  return [
    column(sessions, ({ session }) => session.sessionId),
    column(sessions, ({ baseVersion }) => baseVersion),
    column(sessions, ({ session }) => session.userId),
    column(sessions, ({ session }) => session.status),
    column(sessions, ({ session }) => session.currentStage),
    column(sessions, ({ session }) => session.title),
    column(sessions, ({ session }) => session.idea),
    column(sessions, ({ session }) => JSON.stringify(session.confirmedData)),
    column(sessions, ({ session }) => session.version),
    column(sessions, ({ session }) => session.lastEventId),
    column(sessions, ({ session }) => session.outstandingRequest?.requestId ?? null),
    column(sessions, ({ session }) => session.outstandingRequest?.eventId ?? null),
    column(sessions, ({ session }) => timestamp(session.createdAt)),
    column(sessions, ({ session }) => timestamp(session.updatedAt)),
    column(sessions, ({ session }) => levels.get(session.sessionId)),
  ];
}

/** The highest level that the new events of each session need. */
function levelsOf(events: WriteSet['events']): ReadonlyMap<SessionId, number> {
  const levels = new Map<SessionId, number>();
  for (const { aggregateId, eventType, eventVersion } of events) {
    const level = levelOf(eventType, eventVersion);
    if (level === null) throw new Error(`${eventType} has no version ${eventVersion}`);
    levels.set(aggregateId, Math.max(level, levels.get(aggregateId) ?? 0));
  }
  return levels;
}

function eventColumns({ events }: WriteSet): readonly unknown[] {
  return [
    column(events, (event) => event.eventId),
    column(events, (event) => event.aggregateId),
    column(events, (event) => event.aggregateVersion),
    column(events, (event) => event.eventType),
    column(events, (event) => event.eventVersion),
    column(events, (event) => event.payload),
    column(events, (event) => event.metadata),
    column(events, (event) => event.correlationId),
    column(events, (event) => event.causationId),
    column(events, (event) => timestamp(event.occurredAt)),
  ];
}

function outboxColumns({ outbox }: WriteSet): readonly unknown[] {
  return [
    column(outbox, (row) => row.eventId),
    column(outbox, (row) => row.topic),
    column(outbox, (row) => row.key),
    column(outbox, (row) => row.shard),
    column(outbox, (row) => row.sequence),
    column(outbox, (row) => row.payload),
    column(outbox, (row) => JSON.stringify(row.headers)),
  ];
}
