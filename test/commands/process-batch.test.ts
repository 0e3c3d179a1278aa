import { beforeEach, describe, expect, it } from 'vitest';
import type { BatchSettings } from '../../src/commands/batch-work.ts';
import type { CommandRequest } from '../../src/commands/ports.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import {
  abandonSession,
  confirmStage,
  failGeneration,
  proposeConcepts,
  requestConcepts,
  submitFeedback,
  updateSession,
} from '../genesis/given.ts';
import { MemoryStore } from './memory-store.ts';
import {
  accepted,
  AGENT,
  ANN,
  aSession,
  batchSettings,
  BOB,
  create,
  DEFERRED,
  inOneBatch,
  key,
  NO_SUCH_SESSION,
  NOT_FOUND,
  refused,
  replay,
  send,
  SYSTEM,
} from './requests.ts';

let store: MemoryStore;
let settings: BatchSettings;

beforeEach(() => {
  store = new MemoryStore();
  settings = batchSettings();
});

const batch = (...requests: readonly CommandRequest[]) => inOneBatch(store, requests, settings);
const session = (...history: readonly Command[]) => aSession(store, settings, ...history);
const versions = (id: SessionId) => store.tables.eventsOf(id).map((event) => event.aggregateVersion);

describe('a batch', () => {
  it('answers each command in its place: accepted, refused, replayed, deferred', async () => {
    const [mine, busy, keyed] = [await session(), await session(), await session()];
    const first = send(updateSession(), keyed, key('k'));
    const [answered] = await batch(first);
    store.hold(busy);
    const update = send(updateSession(), mine);
    const outcomes = await batch(
      send(updateSession(), busy),
      update,
      send(proposeConcepts(), mine, { actor: AGENT }),
      send(updateSession(), keyed, key('k')),
      send(updateSession(), NO_SUCH_SESSION),
    );
    expect(outcomes).toStrictEqual([
      DEFERRED,
      accepted(update, 2),
      refused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null }),
      replay(answered),
      NOT_FOUND,
    ]);
  });

  it('shows each command what those before it did', async () => {
    const id = await session();
    const requests = [
      send(updateSession({ title: 'B' }), id),
      send(confirmStage('CONCEPT_SELECTION'), id, { expectedVersion: 2 }),
      send(confirmStage('CONCEPT_SELECTION'), id),
      send(confirmStage('STORY_CONCEPTION'), id),
      send(abandonSession(), id),
      send(updateSession(), id),
    ] as const;
    expect(await batch(...requests)).toStrictEqual([
      accepted(requests[0], 2),
      accepted(requests[1], 3),
      refused({ code: 'STAGE_MISMATCH', currentStage: 'STORY_CONCEPTION' }),
      accepted(requests[3], 4),
      accepted(requests[4], 5),
      refused({ code: 'SESSION_CLOSED', status: 'ABANDONED' }),
    ]);
    expect(versions(id)).toEqual([1, 2, 3, 4, 5]);
    expect(store.tables.session(id)).toMatchObject({
      title: 'B',
      currentStage: 'WORLDVIEW',
      status: 'ABANDONED',
      version: 5,
    });
  });

  it('decides for a session that it creates', async () => {
    const creation = create({}, { title: 'A' });
    const update = send(updateSession({ title: 'B' }), creation.sessionId);
    const [created, updated] = await batch(creation, update);
    expect(created).toMatchObject({
      kind: 'accepted',
      replayed: false,
      answer: { session: { title: 'A', version: 1 } },
    });
    expect(updated).toStrictEqual(accepted(update, 2));
    expect(store.tables.session(creation.sessionId)).toMatchObject({ title: 'B', version: 2 });
  });

  it('answers CreateSession with the session that came of it', async () => {
    const creation = create({}, { title: 'A' });
    const [outcome] = await batch(creation);
    expect(outcome).toStrictEqual({
      kind: 'accepted',
      replayed: false,
      answer: {
        commandId: creation.commandId,
        sessionId: creation.sessionId,
        status: 'COMPLETED',
        version: 1,
        session: store.tables.session(creation.sessionId),
      },
    });
    expect(store.tables.session(creation.sessionId)).toMatchObject({ userId: ANN.userId, title: 'A', idea: null });
  });

  it('writes nothing for what it refuses, and nothing at all if it refuses everything', async () => {
    const id = await session(requestConcepts());
    const written: string[] = [];
    store.interfere = (moment) => void written.push(moment);
    const before = structuredClone(store.tables);
    await batch(
      send(requestConcepts(), id),
      send(updateSession(), id, { actor: BOB }),
      send(updateSession(), NO_SUCH_SESSION),
    );
    expect(written).toEqual(['begin', 'lock', 'readInbox', 'commit', 'committed']);
    expect(structuredClone(store.tables)).toEqual(before);
  });

  it('asks the inbox in one go with the locks, and for new sessions without a key not at all', async () => {
    const busy = await session();
    store.hold(busy);
    const steps: string[] = [];
    store.interfere = (moment) => void steps.push(moment);
    expect(await batch(send(updateSession(), busy), send(updateSession(), NO_SUCH_SESSION))).toStrictEqual([
      DEFERRED,
      NOT_FOUND,
    ]);
    expect(steps).toEqual(['begin', 'lock', 'readInbox', 'commit', 'committed']);
    steps.length = 0;
    await session();
    expect(steps).toEqual(['begin', 'lock', 'write', 'commit', 'committed']);
  });

  it('writes the outbox by session and version, one row for each event', async () => {
    const [a, b] = [await session(), await session()];
    await batch(
      send(updateSession(), b),
      send(confirmStage('CONCEPT_SELECTION'), a),
      send(submitFeedback(), b),
      send(updateSession(), a),
    );
    const rows = store.tables.outbox.map(({ key, sequence, eventId }) => ({ key, sequence, eventId }));
    const eventsInOrder = [a, b].flatMap((id) => store.tables.eventsOf(id).slice(1));
    expect(rows.slice(2)).toEqual(
      eventsInOrder.map((e) => ({ key: e.aggregateId, sequence: e.aggregateVersion, eventId: e.eventId })),
    );
  });

  it('passes the trace of each command on to its events', async () => {
    const id = await session();
    await batch(send(updateSession(), id, { traceparent: '00-a-b-01' }), send(submitFeedback(), id));
    expect(store.tables.outbox.slice(1).map(({ headers }) => headers['traceparent'])).toEqual(['00-a-b-01', undefined]);
  });
});

describe('the rows of a command', () => {
  it('say which events it caused', async () => {
    const id = await session(
      confirmStage('CONCEPT_SELECTION'),
      confirmStage('STORY_CONCEPTION'),
      confirmStage('WORLDVIEW'),
    );
    await batch(send(confirmStage('CHARACTERS'), id), send(confirmStage('PLOT_OUTLINE'), id));
    const rows = store.tables.inbox.map(({ status, firstVersion, lastVersion }) => [status, firstVersion, lastVersion]);
    expect(rows.slice(-2)).toEqual([
      ['COMPLETED', 5, 5],
      ['COMPLETED', 6, 7],
    ]);
    expect(store.tables.eventsOf(id).at(-1)?.eventType).toBe('Genesis.Session.Finished');
  });

  it('hold a request PROCESSING with its deadline by the clock of the database', async () => {
    const id = await session();
    const request = send(requestConcepts(), id);
    expect(await batch(request)).toStrictEqual([accepted(request, 2, 'PROCESSING')]);
    expect(store.tables.inbox.at(-1)).toMatchObject({ status: 'PROCESSING', deadline: store.now + 600_000 });
    expect(store.tables.inbox[0]).toMatchObject({ status: 'COMPLETED', deadline: null });
  });

  it.each([
    ['an answer', AGENT, proposeConcepts, 'COMPLETED', null],
    ['a failure', AGENT, (id: string) => failGeneration('no idea', id), 'FAILED', 'no idea'],
    ['the confirmation of its stage', ANN, () => confirmStage('CONCEPT_SELECTION'), 'FAILED', 'SUPERSEDED'],
    ['the end of the session', ANN, () => abandonSession(), 'FAILED', 'SUPERSEDED'],
  ] as const)('show how a request ended: by %s', async (_, actor, ending, status, errorMessage) => {
    const id = await session();
    const request = send(requestConcepts(), id);
    await batch(request);
    await batch(send(ending(request.commandId), id, { actor }));
    const row = store.tables.inbox.find((stored) => stored.request.commandId === request.commandId);
    expect(row).toMatchObject({ status, errorMessage });
    expect(store.tables.session(id)?.outstandingRequest).toBeNull();
  });
});

describe('a session', () => {
  it('of somebody else is not found, whatever else the command would meet', async () => {
    const id = await session(requestConcepts());
    const strange = { actor: BOB };
    const outcomes = await batch(
      send(updateSession(), id, strange),
      send(requestConcepts(), id, strange),
      send(updateSession(), id, { ...strange, expectedVersion: 77 }),
      send(confirmStage('WORLDVIEW'), id, { ...strange, ...key('k') }),
    );
    expect(outcomes).toStrictEqual([NOT_FOUND, NOT_FOUND, NOT_FOUND, NOT_FOUND]);
  });

  it.each([AGENT, SYSTEM])('takes the answer of an $role that does not own it', async (actor) => {
    const id = await session();
    const request = send(requestConcepts(), id);
    await batch(request);
    const answer = send(failGeneration('late', request.commandId), id, { actor });
    expect(await batch(answer)).toStrictEqual([accepted(answer, 3)]);
    expect(store.tables.session(id)?.userId).toBe(ANN.userId);
    expect(JSON.parse(store.tables.eventsOf(id).at(-1)?.metadata ?? '')).toMatchObject({ user_id: actor.userId });
  });

  it('that is unknown is not found by an agent either', async () => {
    expect(await batch(send(proposeConcepts(), NO_SUCH_SESSION, { actor: AGENT }))).toStrictEqual([NOT_FOUND]);
  });
});

describe('an unfinished command', () => {
  it('refuses its twin and tells which it is', async () => {
    const id = await session();
    const request = send(requestConcepts(), id);
    await batch(request);
    const duplicate = refused({ code: 'DUPLICATE_COMMAND', duplicateCommandId: request.commandId });
    expect(await batch(send(requestConcepts(), id))).toStrictEqual([duplicate]);
  });

  it('refuses its twin in the same batch', async () => {
    const [a, b] = [await session(), await session()];
    const [first, other] = [send(requestConcepts(), a), send(requestConcepts(), b)];
    const duplicate = refused({ code: 'DUPLICATE_COMMAND', duplicateCommandId: first.commandId });
    expect(await batch(first, send(requestConcepts(), a), other, send(requestConcepts(), a))).toStrictEqual([
      accepted(first, 2, 'PROCESSING'),
      duplicate,
      accepted(other, 2, 'PROCESSING'),
      duplicate,
    ]);
  });

  it('lets other commands of its session pass', async () => {
    const id = await session(requestConcepts());
    const update = send(updateSession(), id);
    expect(await batch(update)).toStrictEqual([accepted(update, 3)]);
  });

  it('makes way for another once it has ended', async () => {
    const id = await session(requestConcepts(), confirmStage('CONCEPT_SELECTION'));
    expect(await batch(send(requestConcepts(), id))).toStrictEqual([
      refused({ code: 'STAGE_MISMATCH', currentStage: 'STORY_CONCEPTION' }),
    ]);
  });
});

describe('a row that would change twice', () => {
  it('keeps an answer to a request of the same batch waiting', async () => {
    const id = await session();
    const request = send(requestConcepts(), id);
    const answer = send(proposeConcepts(request.commandId), id, { actor: AGENT });
    expect(await batch(request, answer)).toStrictEqual([accepted(request, 2, 'PROCESSING'), DEFERRED]);
    expect(await batch(answer)).toStrictEqual([accepted(answer, 3)]);
  });

  it.each([confirmStage('CONCEPT_SELECTION'), abandonSession()])(
    'keeps $type waiting that supersedes a request of the same batch',
    async (command) => {
      const id = await session();
      const request = send(requestConcepts(), id);
      expect(await batch(request, send(command, id))).toStrictEqual([accepted(request, 2, 'PROCESSING'), DEFERRED]);
    },
  );

  it('keeps a new request waiting behind the answer of the same batch', async () => {
    const id = await session();
    const request = send(requestConcepts(), id);
    await batch(request);
    const answer = send(proposeConcepts(request.commandId), id, { actor: AGENT });
    const again = send(requestConcepts(), id);
    expect(await batch(answer, again)).toStrictEqual([accepted(answer, 3), DEFERRED]);
    expect(await batch(again)).toStrictEqual([accepted(again, 4, 'PROCESSING')]);
  });

  it('keeps what comes after it for that session waiting too, and nothing of another', async () => {
    const [id, other] = [await session(), await session()];
    const request = send(requestConcepts(), id);
    const update = send(updateSession(), other);
    const outcomes = await batch(request, send(abandonSession(), id), send(updateSession(), id), update);
    expect(outcomes).toStrictEqual([accepted(request, 2, 'PROCESSING'), DEFERRED, DEFERRED, accepted(update, 2)]);
  });
});

describe('a session that is locked elsewhere', () => {
  it('keeps all of its commands waiting until it is let go', async () => {
    const id = await session();
    const letGo = store.hold(id);
    const [update, strange] = [send(updateSession(), id), send(updateSession(), id, { actor: BOB })];
    expect(await batch(update, strange)).toStrictEqual([DEFERRED, DEFERRED]);
    letGo();
    expect(await batch(update, strange)).toStrictEqual([accepted(update, 2), NOT_FOUND]);
  });
});
