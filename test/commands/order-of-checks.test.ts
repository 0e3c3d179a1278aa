import { beforeEach, describe, expect, it } from 'vitest';
import type { BatchSettings } from '../../src/commands/batch-work.ts';
import type { CommandRequest } from '../../src/commands/ports.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { confirmStage, requestConcepts, updateSession } from '../genesis/given.ts';
import { MemoryStore } from './memory-store.ts';
import {
  accepted,
  ANN,
  aSession,
  batchSettings,
  BOB,
  inOneBatch,
  key,
  KEY_REUSED,
  NOT_FOUND,
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

const judge = async (request: CommandRequest) => (await inOneBatch(store, [request], settings))[0];

describe('If-Match', () => {
  it('lets the version pass that the session has', async () => {
    const update = send(updateSession(), session, { expectedVersion: 1 });
    expect(await judge(update)).toStrictEqual(accepted(update, 2));
  });

  it.each([0, 2])('refuses version %d and tells the one the session has', async (expectedVersion) => {
    expect(await judge(send(updateSession(), session, { expectedVersion }))).toStrictEqual(
      refused({ code: 'VERSION_MISMATCH', actualVersion: 1 }),
    );
  });

  it('lets one of many pass that name the same version', async () => {
    const all = Array.from({ length: 20 }, () => send(updateSession(), session, { expectedVersion: 1 }));
    const outcomes = await inOneBatch(store, all, settings);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', ...Array.from({ length: 19 }, () => 'refused')]);
  });
});

/** Every command here would also be refused by all the checks that come later. */
describe('the first check that fails answers', () => {
  const wrongStage = confirmStage('WORLDVIEW');
  const wrongVersion = { expectedVersion: 77 };

  it('with 404 before the key', async () => {
    await judge(send(updateSession(), session, { ...key('k', 'first'), actor: ANN }));
    const strange = send(wrongStage, session, { ...key('k', 'other'), ...wrongVersion, actor: BOB });
    expect(await judge(strange)).toStrictEqual(NOT_FOUND);
  });

  it('with the key before If-Match', async () => {
    const first = await judge(send(updateSession(), session, key('k', 'first')));
    expect(await judge(send(updateSession(), session, { ...key('k', 'first'), ...wrongVersion }))).toStrictEqual(
      replay(first),
    );
    expect(await judge(send(wrongStage, session, { ...key('k', 'other'), ...wrongVersion }))).toStrictEqual(KEY_REUSED);
  });

  it('with If-Match before the unfinished twin', async () => {
    await judge(send(requestConcepts(), session));
    expect(await judge(send(requestConcepts(), session, wrongVersion))).toStrictEqual(
      refused({ code: 'VERSION_MISMATCH', actualVersion: 2 }),
    );
  });

  it('with If-Match before the state', async () => {
    expect(await judge(send(wrongStage, session, wrongVersion))).toStrictEqual(
      refused({ code: 'VERSION_MISMATCH', actualVersion: 1 }),
    );
  });

  it('with the key before the unfinished twin', async () => {
    const request = send(requestConcepts(), session, key('k'));
    const first = await judge(request);
    expect(await judge(send(requestConcepts(), session, key('k')))).toStrictEqual(replay(first));
  });

  it('with the unfinished twin before the state', async () => {
    const request = send(requestConcepts(), session);
    await judge(request);
    // A session whose stage moved on while its request stayed: no command does this, so the row is made by hand.
    const moved = store.tables.session(session);
    if (moved === undefined) throw new Error('the session is gone');
    store.tables.sessions.set(session, { ...moved, currentStage: 'WORLDVIEW' });
    expect(await judge(send(requestConcepts(), session))).toStrictEqual(
      refused({ code: 'DUPLICATE_COMMAND', duplicateCommandId: request.commandId }),
    );
  });
});
