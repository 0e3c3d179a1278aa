import type { BatchOutcome, BatchSettings } from '../../src/commands/batch-work.ts';
import type { Actor, Answer, CommandRefusal, CommandRequest } from '../../src/commands/ports.ts';
import { processBatch } from '../../src/commands/process-batch.ts';
import type { Command, CommandPayload } from '../../src/genesis/commands.ts';
import type { CommandId, EventId, SessionId, UserId } from '../../src/genesis/ids.ts';
import type { MemoryStore } from './memory-store.ts';

export const ANN: Actor = { userId: 'ann' as UserId, role: 'author' };
export const BOB: Actor = { userId: 'bob' as UserId, role: 'author' };
export const AGENT: Actor = { userId: 'agent-1' as UserId, role: 'agent' };
export const SYSTEM: Actor = { userId: 'system' as UserId, role: 'system' };

export const NO_SUCH_SESSION = sessionId(999);

export function sessionId(number: number): SessionId {
  return `01900000-0000-7000-8000-5${String(number).padStart(11, '0')}` as SessionId;
}

export function commandId(number: number): CommandId {
  return `01900000-0000-7000-8000-c${String(number).padStart(11, '0')}` as CommandId;
}

export function eventId(number: number): EventId {
  return `01900000-0000-7000-8000-e${String(number).padStart(11, '0')}` as EventId;
}

/** Settings whose event ids are counted: eventId(1), eventId(2) … */
export function batchSettings(): BatchSettings {
  let events = 0;
  return {
    destination: { topic: 'domain-events', shards: 8 },
    generationTimeout: 600_000,
    newId: () => {
      events += 1;
      return eventId(events);
    },
  };
}

let commands = 0;
let sessions = 0;

type Besides = Partial<Omit<CommandRequest, 'command'>>;

/** A command with an id of its own, from Ann unless `besides` says otherwise. */
export function send(command: Command, to: SessionId, besides: Besides = {}): CommandRequest {
  commands += 1;
  return {
    commandId: commandId(commands),
    sessionId: to,
    actor: ANN,
    command,
    idempotencyKey: null,
    expectedVersion: null,
    traceparent: null,
    ...besides,
  };
}

/** A CreateSession for a session that nobody else has. */
export function create(besides: Besides = {}, payload: CommandPayload<'CreateSession'> = {}): CommandRequest {
  sessions += 1;
  return send({ type: 'CreateSession', payload }, sessionId(sessions), besides);
}

/** The Idempotency-Key `key` of the request that `content` stands for. */
export function key(key: string, content = 'same'): Besides {
  return { idempotencyKey: { key, fingerprint: `fingerprint of ${content}` } };
}

/** All of these in one transaction. */
export function inOneBatch(
  store: MemoryStore,
  requests: readonly CommandRequest[],
  settings = batchSettings(),
): Promise<readonly BatchOutcome[]> {
  return store.transaction((transaction) => processBatch(transaction, requests, settings), 1_000);
}

/** Creates a session and takes it through these commands, a transaction each. */
export async function aSession(
  store: MemoryStore,
  settings: BatchSettings,
  ...history: readonly Command[]
): Promise<SessionId> {
  const creation = create();
  const requests = [creation, ...history.map((command) => send(command, creation.sessionId))];
  for (const request of requests) {
    const [outcome] = await inOneBatch(store, [request], settings);
    if (outcome?.kind !== 'accepted') throw new Error(`${request.command.type}: ${JSON.stringify(outcome)}`);
  }
  return creation.sessionId;
}

/** The first answer to an accepted command for a session that existed. */
export function accepted(
  request: CommandRequest,
  version: number,
  status: Answer['status'] = 'COMPLETED',
): BatchOutcome {
  const { commandId, sessionId } = request;
  return { kind: 'accepted', answer: { commandId, sessionId, status, version, session: null }, replayed: false };
}

/** The answer that `first` got, once more. */
export function replay(first: BatchOutcome | undefined): BatchOutcome {
  if (first?.kind !== 'accepted') throw new Error('only an accepted command is replayed');
  return { ...first, replayed: true };
}

export function refused(refusal: CommandRefusal): BatchOutcome {
  return { kind: 'refused', refusal };
}

export const NOT_FOUND = refused({ code: 'SESSION_NOT_FOUND' });
export const KEY_REUSED = refused({ code: 'IDEMPOTENCY_KEY_REUSED' });
export const DEFERRED: BatchOutcome = { kind: 'deferred' };
