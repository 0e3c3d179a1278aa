import type { WriteSet } from '../commands/ports.ts';
import { levelOf } from '../genesis/event-schemas.ts';
import type { SessionId } from '../genesis/ids.ts';
import { timestamp } from '../outbox/envelope.ts';
import { plainArray, textArray, textList } from './array-literal.ts';

/**
 * The parameters of commands/write.sql: one time, then one list per column, encoded here, since the driver's own encoding of arrays
 * was a tenth of what a command costs. A change of either is a change of both.
 *
 * @throws Error if the events and the rows that publish them are not pairs, in the same order.
 */
export function writeParameters(rows: WriteSet): readonly string[] {
  const times = createTimes();
  return [
    endTime(rows),
    ...inboxColumns(rows, times),
    ...finishedColumns(rows),
    ...sessionColumns(rows, times),
    ...eventColumns(rows, times),
    ...outboxColumns(rows),
    inboxTimes(rows, times),
  ];
}

/** Milliseconds since the epoch as PostgreSQL reads them. */
type Times = (milliseconds: number | null | undefined) => string | null;

/** Most rows of a batch carry the same time. Null where there is none: the database then refuses the row that needs one. */
function createTimes(): Times {
  const known = new Map<number, string>();
  return (milliseconds) => {
    if (typeof milliseconds !== 'number') return null;
    const text = known.get(milliseconds) ?? timestamp(milliseconds);
    known.set(milliseconds, text);
    return text;
  };
}

/** By the database's clock, as all times are: the earliest, because a session's own time may run ahead of that clock. */
function endTime({ events }: WriteSet): string {
  return timestamp(events.reduce((earliest, { occurredAt }) => Math.min(earliest, occurredAt), Infinity));
}

/** A command's row carries the time of its session, whatever its batch-mates' are. */
function inboxTimes({ inbox, sessions }: WriteSet, times: Times): string {
  const updated = new Map(sessions.map(({ session }) => [session.sessionId, session.updatedAt]));
  return plainArray(inbox.map(({ request }) => times(updated.get(request.sessionId))));
}

function inboxColumns({ inbox }: WriteSet, times: Times): readonly string[] {
  return [
    plainArray(inbox.map(({ request }) => request.commandId)),
    plainArray(inbox.map(({ request }) => request.sessionId)),
    textArray(inbox.map(({ request }) => request.actor.userId)),
    plainArray(inbox.map(({ request }) => request.command.type)),
    textArray(inbox.map(({ request }) => request.idempotencyKey?.key ?? null)),
    textArray(inbox.map(({ request }) => request.idempotencyKey?.fingerprint ?? null)),
    textList(inbox.map(({ request }) => JSON.stringify(request.command.payload))),
    plainArray(inbox.map(({ status }) => status)),
    textList(inbox.map(({ answer }) => JSON.stringify(answer))),
    plainArray(inbox.map(({ firstVersion }) => firstVersion)),
    plainArray(inbox.map(({ lastVersion }) => lastVersion)),
    plainArray(inbox.map(({ deadline }) => times(deadline))),
  ];
}

function finishedColumns({ finished }: WriteSet): readonly string[] {
  return [
    plainArray(finished.map(({ commandId }) => commandId)),
    plainArray(finished.map(({ status }) => status)),
    textArray(finished.map(({ errorMessage }) => errorMessage)),
  ];
}

function sessionColumns({ sessions, events }: WriteSet, times: Times): readonly string[] {
  const levels = levelsOf(events);
  return [
    plainArray(sessions.map(({ session }) => session.sessionId)),
    plainArray(sessions.map(({ baseVersion }) => baseVersion)),
    textArray(sessions.map(({ session }) => session.userId)),
    plainArray(sessions.map(({ session }) => session.status)),
    plainArray(sessions.map(({ session }) => session.currentStage)),
    textArray(sessions.map(({ session }) => session.title)),
    textArray(sessions.map(({ session }) => session.idea)),
    textList(
      sessions.map((change) => (change.sameData === true ? null : JSON.stringify(change.session.confirmedData))),
    ),
    plainArray(sessions.map(({ session }) => session.version)),
    plainArray(sessions.map(({ session }) => session.lastEventId)),
    plainArray(sessions.map(({ session }) => session.outstandingRequest?.requestId)),
    plainArray(sessions.map(({ session }) => session.outstandingRequest?.eventId)),
    // What exists keeps it.
    plainArray(sessions.map(({ session, baseVersion }) => (baseVersion === 0 ? times(session.createdAt) : null))),
    plainArray(sessions.map(({ session }) => times(session.updatedAt))),
    plainArray(sessions.map(({ session }) => levels.get(session.sessionId))),
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

function eventColumns({ events }: WriteSet, times: Times): readonly string[] {
  return [
    plainArray(events.map((event) => event.eventId)),
    plainArray(events.map((event) => event.aggregateId)),
    plainArray(events.map((event) => event.aggregateVersion)),
    plainArray(events.map((event) => event.eventType)),
    plainArray(events.map((event) => event.eventVersion)),
    textList(events.map((event) => event.payload)),
    textList(events.map((event) => event.metadata)),
    plainArray(events.map((event) => event.correlationId)),
    plainArray(events.map((event) => event.causationId)),
    plainArray(events.map((event) => times(event.occurredAt))),
  ];
}

/** What an outbox row has besides what its event says. */
function outboxColumns({ events, outbox }: WriteSet): readonly string[] {
  const paired = events.length === outbox.length && outbox.every((row, at) => row.eventId === events[at]?.eventId);
  if (!paired) throw new Error('each event has the row that publishes it at its own place');
  return [
    textList(outbox.map((row) => row.topic)),
    plainArray(outbox.map((row) => row.shard)),
    textList(outbox.map((row) => row.payload)),
    textList(outbox.map((row) => JSON.stringify(row.headers))),
  ];
}
