import { expect } from 'vitest';
import type { CommandRefusal, CommandRequest } from '../../src/commands/ports.ts';
import { GenesisError } from '../../src/errors.ts';
import { decide, decideCreation, type Decision } from '../../src/genesis/decide.ts';
import type { DomainEvent, EventRecord, RecordedEvent } from '../../src/genesis/events.ts';
import { evolve } from '../../src/genesis/evolve.ts';
import type { SessionId, UserId } from '../../src/genesis/ids.ts';
import type { Session } from '../../src/genesis/session.ts';
import type { MemoryTables, StoredCommand } from './memory-tables.ts';
import type { Run, Told } from './simulation.ts';

/** Versions without a gap, each naming the one before; the session is their fold; the outbox has each once, in order. */
export function expectSoundTables(tables: MemoryTables): void {
  for (const [id, session] of tables.sessions) {
    const events = tables.eventsOf(id);
    expect(events.map((event) => event.aggregateVersion)).toEqual(events.map((_, index) => index + 1));
    expect(events.map((event) => event.previous)).toEqual([null, ...events.map((event) => event.eventId)].slice(0, -1));
    expect(asJson(stateAt(tables, id, session.version))).toEqual(asJson(session));
    const rows = tables.outbox.filter((row) => row.key === id).toSorted((a, b) => a.id - b.id);
    expect(rows.map((row) => row.eventId)).toEqual(events.map((event) => event.eventId));
    const unfinished = tables.inbox.filter(
      ({ status, request }) => status === 'PROCESSING' && request.sessionId === id,
    );
    const outstanding = session.outstandingRequest?.requestId;
    expect(unfinished.map(({ request }) => request.commandId)).toEqual(outstanding === undefined ? [] : [outstanding]);
  }
  expect(tables.outbox).toHaveLength(tables.events.length);
}

/** Every event belongs to one accepted command, which decides the same way on the state that its versions say. */
export function expectOneSerialOrder(tables: MemoryTables): void {
  for (const [id, { version }] of tables.sessions) {
    const commands = tables.inbox
      .filter(({ request }) => request.sessionId === id)
      .toSorted((a, b) => a.firstVersion - b.firstVersion);
    let next = 1;
    for (const command of commands) {
      expect(command.firstVersion).toBe(next);
      next = command.lastVersion + 1;
      expectSameDecision(tables, command);
    }
    expect(next).toBe(version + 1);
  }
}

function expectSameDecision(tables: MemoryTables, { request, answer, firstVersion, lastVersion }: StoredCommand): void {
  const decision = decideAt(tables, request, firstVersion - 1);
  if (decision.kind === 'refused')
    throw new Error(`${request.command.type} could not be accepted at ${firstVersion - 1}`);
  const happened = tables.eventsOf(request.sessionId).slice(firstVersion - 1, lastVersion);
  expect(asJson(decision.events.map(({ event }) => event))).toEqual(happened.map(toEvent));
  expect(answer).toMatchObject({ commandId: request.commandId, status: decision.status, version: lastVersion });
}

/** Everybody is told once, and what they are told was true at some time between their question and the answer. */
export function expectTrueAnswers({ rig, told }: Run): void {
  const { tables } = rig.store;
  for (const one of told) {
    const row = tables.inbox.find(({ request }) => request.commandId === one.request.commandId);
    expect(one.state, 'everybody is told').not.toBe('waits');
    if (one.outcome === null) expectTrueFailure(one, row);
    else if (one.outcome.kind === 'refused') {
      expect(row, 'what is refused leaves no row').toBeUndefined();
      expectTrueRefusal(tables, one, one.outcome.refusal);
    } else if (one.outcome.replayed) {
      expect(row, 'what is replayed leaves no row').toBeUndefined();
      const first = boundBefore(tables, one.request);
      expect(asJson(one.outcome.answer)).toEqual(first?.answer);
      expect(first?.request.idempotencyKey).toEqual(one.request.idempotencyKey);
    } else {
      expect(asJson(one.outcome.answer)).toEqual(row?.answer);
      expect(row?.firstVersion).toBeGreaterThan(one.versionBefore);
      expect(row?.lastVersion, 'answered after COMMIT').toBeLessThanOrEqual(one.versionAfter);
    }
  }
}

function expectTrueFailure({ error, request }: Told, row: StoredCommand | undefined): void {
  if (error instanceof GenesisError && error.code === 'OUTCOME_UNKNOWN') {
    expect(error.details).toEqual({ command_id: request.commandId, session_id: request.sessionId });
  } else {
    expect(row, `${String(error)}: nothing was written`).toBeUndefined();
  }
}

function expectTrueRefusal(tables: MemoryTables, told: Told, refusal: CommandRefusal): void {
  const { request, versionBefore, versionAfter } = told;
  const versions = Array.from({ length: versionAfter - versionBefore + 1 }, (_, index) => versionBefore + index);
  const explained =
    refusal.code === 'IDEMPOTENCY_KEY_REUSED'
      ? isReused(tables, request)
      : versions.some((version) => explains(tables, request, version, refusal));
  expect(explained, `${JSON.stringify(refusal)} at ${versions.join()} to ${JSON.stringify(request)}`).toBe(true);
}

/** Whether `refusal` is what the session answers to `request` at `version`. */
function explains(tables: MemoryTables, request: CommandRequest, version: number, refusal: CommandRefusal): boolean {
  const { actor, sessionId } = request;
  const session = version === 0 ? null : stateAt(tables, sessionId, version);
  if (session === null || (actor.role === 'author' && actor.userId !== session.userId)) {
    return refusal.code === 'SESSION_NOT_FOUND';
  }
  switch (refusal.code) {
    case 'VERSION_MISMATCH':
      return refusal.actualVersion === version && request.expectedVersion !== version;
    case 'DUPLICATE_COMMAND':
      return session.outstandingRequest?.requestId === refusal.duplicateCommandId;
    default: {
      const decision = decideAt(tables, request, version);
      return decision.kind === 'refused' && JSON.stringify(decision.refusal) === JSON.stringify(refusal);
    }
  }
}

function isReused(tables: MemoryTables, request: CommandRequest): boolean {
  const bound = boundBefore(tables, request);
  return bound !== undefined && bound.request.idempotencyKey?.fingerprint !== request.idempotencyKey?.fingerprint;
}

/** The command that holds the Idempotency-Key of `request`. */
function boundBefore(tables: MemoryTables, request: CommandRequest): StoredCommand | undefined {
  const creates = request.command.type === 'CreateSession';
  return tables.inbox.find(
    ({ request: other }) =>
      other.idempotencyKey?.key === request.idempotencyKey?.key &&
      other.actor.userId === request.actor.userId &&
      (other.command.type === 'CreateSession') === creates &&
      (creates || other.sessionId === request.sessionId),
  );
}

function decideAt(tables: MemoryTables, { command, commandId, sessionId }: CommandRequest, version: number): Decision {
  return command.type === 'CreateSession'
    ? decideCreation(command.payload)
    : decide(command, stateAt(tables, sessionId, version), commandId);
}

function stateAt(tables: MemoryTables, id: SessionId, version: number): Session {
  const events = tables.eventsOf(id).slice(0, version).map(toRecorded);
  const session = events.reduce<Session | null>(evolve, null);
  if (session === null) throw new Error(`session ${id} has no version ${version}`);
  return session;
}

function toRecorded(record: EventRecord): RecordedEvent {
  const { user_id } = JSON.parse(record.metadata) as { readonly user_id: UserId };
  return {
    event: toEvent(record),
    eventId: record.eventId,
    sessionId: record.aggregateId,
    version: record.aggregateVersion,
    userId: user_id,
    occurredAt: record.occurredAt,
  };
}

function toEvent({ eventType, payload }: EventRecord): DomainEvent {
  return { type: eventType, payload: JSON.parse(payload) as unknown } as DomainEvent;
}

function asJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
