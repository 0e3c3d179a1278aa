import { beforeEach, describe, expect, it } from 'vitest';
import type { BatchSettings } from '../../src/commands/batch-work.ts';
import type { CommandRequest } from '../../src/commands/ports.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { confirmStage, proposeConcepts, requestConcepts, updateSession } from '../genesis/given.ts';
import { MemoryStore } from './memory-store.ts';
import {
  accepted,
  AGENT,
  aSession,
  batchSettings,
  BOB,
  create,
  DEFERRED,
  inOneBatch,
  key,
  KEY_REUSED,
  refused,
  replay,
  send,
} from './requests.ts';

let store: MemoryStore;
let settings: BatchSettings;
let session: SessionId;

beforeEach(async () => {
  store = new MemoryStore();
  settings = batchSettings();
  session = await aSession(store, settings);
});

const batch = (...requests: readonly CommandRequest[]) => inOneBatch(store, requests, settings);

/** Both orders of events: the second command in a later batch, and in the same. */
const together = {
  'in a later batch': async (first: CommandRequest, second: CommandRequest) => [
    ...(await batch(first)),
    ...(await batch(second)),
  ],
  'in the same batch': (first: CommandRequest, second: CommandRequest) => batch(first, second),
};

describe.each(Object.entries(together))('a key that comes again %s', (_, send2) => {
  it('is answered as it was the first time, and nothing happens', async () => {
    const [first, again] = await send2(
      send(updateSession(), session, key('k')),
      send(updateSession(), session, key('k')),
    );
    expect(first).toMatchObject({ kind: 'accepted', replayed: false });
    expect(again).toStrictEqual(replay(first));
    expect(store.tables.eventsOf(session)).toHaveLength(2);
  });

  it('with another request is refused', async () => {
    const [first, again] = await send2(
      send(updateSession(), session, key('k', 'one')),
      send(updateSession(), session, key('k', 'other')),
    );
    expect(first?.kind).toBe('accepted');
    expect(again).toStrictEqual(KEY_REUSED);
  });

  it('is decided again if it was refused', async () => {
    const wrong = send(confirmStage('WORLDVIEW'), session, key('k', 'one'));
    const right = send(updateSession(), session, key('k', 'other'));
    const [first, again] = await send2(wrong, right);
    expect(first).toStrictEqual(refused({ code: 'STAGE_MISMATCH', currentStage: 'CONCEPT_SELECTION' }));
    expect(again).toStrictEqual(accepted(right, 2));
  });

  it('on CreateSession gives the session that it made', async () => {
    const [first, again] = await send2(create(key('k'), { title: 'A' }), create(key('k'), { title: 'A' }));
    expect(first).toMatchObject({ kind: 'accepted', answer: { session: { title: 'A', version: 1 } } });
    expect(again).toStrictEqual(replay(first));
    expect(store.tables.sessions.size).toBe(2);
  });

  it('on CreateSession with another request is refused', async () => {
    const [, again] = await send2(create(key('k', 'one')), create(key('k', 'other')));
    expect(again).toStrictEqual(KEY_REUSED);
  });

  it('belongs to the user on CreateSession', async () => {
    const [first, other] = await send2(create(key('k')), create({ ...key('k'), actor: BOB }));
    expect(first).toMatchObject({ kind: 'accepted', replayed: false });
    expect(other).toMatchObject({ kind: 'accepted', replayed: false });
  });

  it('belongs to the session', async () => {
    const other = await aSession(store, settings);
    const [a, b] = [send(updateSession(), session, key('k')), send(updateSession(), other, key('k'))];
    expect(await send2(a, b)).toStrictEqual([accepted(a, 2), accepted(b, 2)]);
  });

  it('belongs to the user within the session', async () => {
    await batch(send(requestConcepts(), session));
    const request = store.tables.session(session)?.outstandingRequest?.requestId;
    const update = send(updateSession(), session, key('k'));
    const answer = send(proposeConcepts(request), session, { ...key('k'), actor: AGENT });
    expect(await send2(update, answer)).toStrictEqual([accepted(update, 3), accepted(answer, 4)]);
  });

  it('is another one on CreateSession than for a session', async () => {
    const update = send(updateSession(), session, key('k', 'one'));
    const creation = create(key('k', 'other'));
    const [created, updated] = await send2(creation, update);
    expect(created).toMatchObject({ kind: 'accepted', replayed: false });
    expect(updated).toStrictEqual(accepted(update, 2));
  });
});

describe('the first answer', () => {
  it('is given again after the session went on', async () => {
    const [first] = await batch(send(updateSession(), session, key('k')));
    await batch(send(confirmStage('CONCEPT_SELECTION'), session));
    expect(await batch(send(updateSession(), session, key('k')))).toStrictEqual([replay(first)]);
  });

  it('is given again after the request was answered', async () => {
    const request = send(requestConcepts(), session, key('k'));
    const [first] = await batch(request);
    await batch(send(proposeConcepts(request.commandId), session, { actor: AGENT }));
    expect(first).toStrictEqual(accepted(request, 2, 'PROCESSING'));
    expect(await batch(send(requestConcepts(), session, key('k')))).toStrictEqual([replay(first)]);
  });
});

describe('a command that was deferred', () => {
  it('binds no key until it is decided', async () => {
    const letGo = store.hold(session);
    const update = send(updateSession(), session, key('k'));
    expect(await batch(update)).toStrictEqual([DEFERRED]);
    letGo();
    expect(await batch(update)).toStrictEqual([accepted(update, 2)]);
  });
});

describe('two transactions that create with one key', () => {
  it('wait for each other: one creates, the other replays', async () => {
    const held = Promise.withResolvers<void>();
    store.interfere = (moment, number) => (moment === 'commit' && number === 2 ? held.promise : undefined);
    const first = batch(create(key('k')));
    const second = batch(create(key('k')));
    held.resolve();
    const [[created], [replayed]] = await Promise.all([first, second]);
    expect(created).toMatchObject({ kind: 'accepted', replayed: false });
    expect(replayed).toStrictEqual(replay(created));
    expect(store.tables.sessions.size).toBe(2);
  });
});
