import type { WriteSet } from '../commands/ports.ts';
import { levelOf } from '../genesis/event-schemas.ts';
import type { SessionId } from '../genesis/ids.ts';
import { timestamp } from '../outbox/envelope.ts';
import { plainArray, textArray, textList } from './array-literal.ts';
import type { Statement } from './pipeline.ts';
import { statement } from './sql.ts';

const INSERT_COMMANDS = statement('commands/insert-commands');
const FINISH_COMMANDS = statement('commands/finish-commands');
const CREATE_SESSIONS = statement('commands/create-sessions');
const UPDATE_SESSIONS = statement('commands/update-sessions');
const INSERT_EVENTS = statement('commands/insert-events');
const INSERT_OUTBOX_ROWS = statement('commands/insert-outbox-rows');

/**
 * A statement with its parameters: one list per column, encoded here, since the driver's own encoding of arrays was a tenth of what a
 * command costs.
 */
export interface WriteStep {
  readonly statement: Statement;
  readonly values: readonly string[];
}

/**
 * The statements that write all rows of a batch, to be sent in one message; those that have nothing to write are left out. PostgreSQL
 * sets up each part of a statement every time, so that one WITH for all tables costs a lone command more than these.
 *
 * @throws Error if the events and the rows that publish them are not pairs, in the same order.
 */
export function writeSteps(rows: WriteSet): readonly WriteStep[] {
  const times = createTimes();
  const created = rows.sessions.filter(({ baseVersion }) => baseVersion === 0);
  const updated = rows.sessions.filter(({ baseVersion }) => baseVersion > 0);
  const levels = levelsOf(rows.events);
  const steps: WriteStep[] = [];
  // What was PROCESSING ends before what takes its place begins.
  if (rows.finished.length > 0) steps.push({ statement: FINISH_COMMANDS, values: finishedColumns(rows) });
  steps.push({ statement: INSERT_COMMANDS, values: inboxColumns(rows, times) });
  if (created.length > 0) steps.push({ statement: CREATE_SESSIONS, values: createdColumns(created, levels, times) });
  if (updated.length > 0) steps.push({ statement: UPDATE_SESSIONS, values: updatedColumns(updated, levels, times) });
  steps.push({ statement: INSERT_EVENTS, values: eventColumns(rows, times) });
  steps.push({ statement: INSERT_OUTBOX_ROWS, values: outboxColumns(rows, times) });
  return steps;
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

function inboxColumns({ inbox, sessions }: WriteSet, times: Times): readonly string[] {
  // A command's row carries the time of its session, whatever its batch-mates' are.
  const updatedAt = new Map(sessions.map(({ session }) => [session.sessionId, session.updatedAt]));
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
    plainArray(inbox.map(({ request }) => times(updatedAt.get(request.sessionId)))),
  ];
}

function finishedColumns(rows: WriteSet): readonly string[] {
  const { finished, sessions } = rows;
  return [
    endTime(rows),
    plainArray(finished.map(({ commandId }) => commandId)),
    plainArray(finished.map(({ status }) => status)),
    textArray(finished.map(({ errorMessage }) => errorMessage)),
    String(finished.length),
    // What ends a command changes its session.
    plainArray(sessions.map(({ session }) => session.sessionId)),
  ];
}

type Levels = ReadonlyMap<SessionId, number>;

function createdColumns(created: WriteSet['sessions'], levels: Levels, times: Times): readonly string[] {
  return [
    plainArray(created.map(({ session }) => session.sessionId)),
    textArray(created.map(({ session }) => session.userId)),
    ...stateColumns(created, levels),
    plainArray(created.map(({ session }) => times(session.createdAt))),
    plainArray(created.map(({ session }) => times(session.updatedAt))),
  ];
}

function updatedColumns(updated: WriteSet['sessions'], levels: Levels, times: Times): readonly string[] {
  return [
    plainArray(updated.map(({ session }) => session.sessionId)),
    plainArray(updated.map(({ baseVersion }) => baseVersion)),
    ...stateColumns(updated, levels),
    plainArray(updated.map(({ session }) => times(session.updatedAt))),
    String(updated.length),
  ];
}

function stateColumns(changes: WriteSet['sessions'], levels: Levels): readonly string[] {
  return [
    plainArray(changes.map(({ session }) => session.status)),
    plainArray(changes.map(({ session }) => session.currentStage)),
    textArray(changes.map(({ session }) => session.title)),
    textArray(changes.map(({ session }) => session.idea)),
    textList(changes.map((change) => (change.sameData === true ? null : JSON.stringify(change.session.confirmedData)))),
    plainArray(changes.map(({ session }) => session.version)),
    plainArray(changes.map(({ session }) => session.lastEventId)),
    plainArray(changes.map(({ session }) => session.outstandingRequest?.requestId)),
    plainArray(changes.map(({ session }) => session.outstandingRequest?.eventId)),
    plainArray(changes.map(({ session }) => levels.get(session.sessionId))),
  ];
}

/** The highest level that the new events of each session need. */
function levelsOf(events: WriteSet['events']): Levels {
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

function outboxColumns({ events, outbox }: WriteSet, times: Times): readonly string[] {
  const paired = events.length === outbox.length && outbox.every((row, at) => row.eventId === events[at]?.eventId);
  if (!paired) throw new Error('each event has the row that publishes it at its own place');
  return [
    plainArray(events.map((event) => event.eventId)),
    textList(outbox.map((row) => row.topic)),
    plainArray(events.map((event) => event.aggregateId)),
    plainArray(outbox.map((row) => row.shard)),
    plainArray(events.map((event) => event.aggregateVersion)),
    textList(outbox.map((row) => row.payload)),
    textList(outbox.map((row) => JSON.stringify(row.headers))),
    plainArray(events.map((event) => times(event.occurredAt))),
  ];
}
