import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import {
  OperatorActionPageSchema,
  OutboxFiguresSchema,
  OutboxPageSchema,
  PauseSchema,
  PreviewSchema,
  RowActionSchema,
  SessionPublicationSchema,
  ShardTableSchema,
} from '../../src/http/ops-schemas.ts';
import { startOutboxRig, type OutboxRig } from '../postgres/outbox-admin-rig.ts';
import { tokenOf } from './api-harness.ts';
import { startReplica, type Replica } from './replica.ts';

let rig: OutboxRig;
let replica: Replica;
let stuck: SessionId;
beforeEach(async () => {
  rig = await startOutboxRig();
  replica = await startReplica(rig.url);
  stuck = await rig.session(4, 1);
  await rig.send(stuck, 1);
  await rig.fail(stuck, 2, 'MESSAGE_TOO_LARGE');
});
afterEach(async () => {
  await replica.stop();
  await rig.stop();
});

type Body = Readonly<Record<string, unknown>>;
interface Answer {
  readonly status: number;
  readonly body: Body;
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  roles: readonly string[] = ['operator'],
): Promise<Answer> {
  const token = await tokenOf('olga', roles);
  const answer = await fetch(`${replica.address}/api/v1/ops${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Body };
}

const get = (path: string) => ask('GET', path);
const post = (path: string, body: unknown) => ask('POST', path, body);

/** The body of a 200, which must be as the schema says. */
async function good(schema: TSchema, asking: Promise<Answer>): Promise<Body> {
  const { status, body } = await asking;
  expect([...Compile(schema).Errors(body)], JSON.stringify(body)).toEqual([]);
  expect(status).toBe(200);
  return body;
}

const items = (body: Body) => body['items'] as readonly Body[];

describe('what operators see', () => {
  it('figures', async () => {
    const { total, shards } = await good(OutboxFiguresSchema, get('/outbox'));
    expect(total).toMatchObject({ pending: 2, held: 2, failed: 1, sessions_on_hold: 1, complete: true });
    expect(shards).toHaveLength(8);
    expect(shards).toContainEqual(expect.objectContaining({ shard: 1, failed: 1 }) as unknown);
  });

  it('rows, page by page, each with what keeps it', async () => {
    await rig.session(2, 3);
    const found: Body[] = [];
    let cursor = '';
    do {
      const page: Body = await good(OutboxPageSchema, get(`/outbox/rows?limit=2${cursor}`));
      found.push(...items(page));
      const next = page['next_cursor'] as string | null;
      cursor = next === null ? '' : `&cursor=${next}`;
    } while (cursor !== '');
    expect(found.map((row) => `${String(row['shard'])}:${String(row['sequence'])}`)).toEqual([
      '1:2',
      '1:3',
      '1:4',
      '3:1',
      '3:2',
    ]);
    expect(found[1]).toMatchObject({
      session_id: stuck,
      event_type: 'Genesis.Session.Submitted',
      waits_for: [
        { reason: 'HELD', behind: { sequence: 2, last_error: 'MESSAGE_TOO_LARGE' } },
        { reason: 'SHARD_NOT_OWNED' },
      ],
    });
    const eventId = String(found[0]?.['event_id']);
    for (const query of [
      `event_id=${eventId.toUpperCase()}`,
      'status=FAILED',
      `session_id=${stuck}&to_id=${String(found[0]?.['outbox_id'])}&from_id=2`,
    ]) {
      expect(items(await good(OutboxPageSchema, get(`/outbox/rows?${query}`))), query).toMatchObject([
        { event_id: eventId },
      ]);
    }
    expect(items((await get('/outbox/rows?min_age=3600')).body)).toEqual([]);
    const sent = items(await good(OutboxPageSchema, get('/outbox/rows?status=SENT')));
    expect(sent).toMatchObject([{ status: 'SENT', partition: 1, offset: 1, waits_for: [] }]);
  });

  it('no page for a query that nobody understands', async () => {
    for (const query of [
      'status=LOST',
      'shard=-1',
      'session_id=x',
      'limit=0',
      'from_id=1e3',
      'cursor=x',
      'colour=red',
      'shard=1&shard=2',
    ]) {
      expect((await get(`/outbox/rows?${query}`)).body, query).toMatchObject({ error_code: 'MALFORMED_REQUEST' });
    }
    const { body } = await get('/outbox/rows?limit=1');
    const other = await get(`/actions?cursor=${String(body['next_cursor'])}`);
    expect(other.body).toMatchObject({ error_code: 'MALFORMED_REQUEST' });
  });

  it('why a session waits', async () => {
    const body = await good(SessionPublicationSchema, get(`/sessions/${stuck}/publication`));
    expect(body).toMatchObject({ waiting: 3, complete: true, last_settled: { sequence: 1 } });
    expect(body['explanation']).toMatch(
      /^The next to go out is event .* MESSAGE_TOO_LARGE; and no relay drains shard 1\.$/,
    );
    const nobody = '01890a5d-ac96-774b-bcce-b302099a8057';
    expect((await get(`/sessions/${nobody}/publication`)).body).toMatchObject({ error_code: 'SESSION_NOT_FOUND' });
    expect((await get('/sessions/x/publication')).body).toMatchObject({ error_code: 'MALFORMED_REQUEST' });
  });

  it('shards and relays', async () => {
    const member = await rig.own([1]);
    const { shards, relays } = await good(ShardTableSchema, get('/shards'));
    expect(relays).toMatchObject([{ member, alive: true, shards: [1] }]);
    expect(shards).toContainEqual(
      expect.objectContaining({ shard: 1, state: 'active', owner: { member, name: 'relay-a 4711' } }) as unknown,
    );
  });
});

describe('what operators do', () => {
  it('retry after a preview, and is told in the audit trail', async () => {
    const filter = { status: 'FAILED', session_id: stuck.toUpperCase() };
    const { token } = await good(PreviewSchema, post('/outbox/preview', { action: 'retry', filter }));
    expect(await rig.statuses(stuck)).toBe('SENT FAILED PENDING PENDING');
    const done = await good(RowActionSchema, post('/outbox/retry', { filter, token, reason: 'mended' }));
    expect(done).toMatchObject({ action: 'retry', affected: 1, skipped: 0, complete: true, interrupted: null });
    expect(await rig.statuses(stuck)).toBe('SENT PENDING PENDING PENDING');
    const trail = await good(OperatorActionPageSchema, get(`/actions?call_id=${String(done['call_id'])}`));
    expect(items(trail)).toMatchObject([
      { actor: 'olga', via: 'http', action: 'retry', reason: 'mended', affected: 1, filter },
    ]);

    const late = await post('/outbox/retry', { filter, token });
    expect(late).toMatchObject({ status: 409, body: { error_code: 'SELECTION_CHANGED', actual_count: 0 } });
  });

  it('discard by id without a preview, and PENDING rows by force', async () => {
    const [second, fourth] = [await rig.idOf(stuck, 2), await rig.idOf(stuck, 4)];
    const done = await good(RowActionSchema, post('/outbox/discard', { filter: { ids: [second, 1] }, reason: 'x' }));
    expect(done).toMatchObject({ affected: 1, skipped: 1, skipped_ids: [1] });
    const forced = { filter: { ids: [fourth] }, reason: 'x', force: true };
    expect(await good(RowActionSchema, post('/outbox/discard', { ...forced, force: false }))).toMatchObject({
      affected: 0,
    });
    expect(await good(RowActionSchema, post('/outbox/discard', forced))).toMatchObject({ affected: 1 });
    expect(await rig.statuses(stuck)).toBe('SENT DISCARDED PENDING DISCARDED');
    const [last] = items((await get('/actions?limit=1')).body);
    expect(last).toMatchObject({ filter: { ids: [fourth], force: true } });
  });

  it('pause and resume', async () => {
    expect(await good(PauseSchema, post('/shards/pause', { shards: [1, 2] }))).toMatchObject({ changed: [1, 2] });
    const all = await good(PauseSchema, post('/shards/resume', { shards: 'all', reason: 'done' }));
    expect(all).toMatchObject({ changed: [1, 2], unchanged: [0, 3, 4, 5, 6, 7] });
    const first = await good(OperatorActionPageSchema, get('/actions?limit=3&actor=olga'));
    expect(items(first).map(({ action, shards }) => [action, shards])).toEqual([
      ['resume', [2]],
      ['resume', [1]],
      ['pause', [2]],
    ]);
    const rest = await good(OperatorActionPageSchema, get(`/actions?limit=3&cursor=${String(first['next_cursor'])}`));
    expect(rest).toMatchObject({ items: [{ action: 'pause', shards: [1] }], next_cursor: null });
    expect(items((await get('/actions?action=resume')).body)).toHaveLength(2);
  });

  it.each<[string, unknown, string]>([
    ['/outbox/preview', { action: 'retry' }, '/filter'],
    ['/outbox/preview', { action: 'send', filter: {} }, '/action'],
    ['/outbox/preview', { action: 'retry', filter: { status: 'PENDING' } }, '/filter/status'],
    ['/outbox/preview', { action: 'discard', filter: { status: 'SENT' } }, '/filter/status'],
    ['/outbox/preview', { action: 'retry', filter: { ids: [] } }, '/filter/ids'],
    ['/outbox/preview', { action: 'retry', filter: { colour: 'red' } }, '/filter/colour'],
    ['/outbox/retry', { filter: {} }, '/token'],
    ['/outbox/retry', { filter: { ids: [1] }, force: true }, '/force'],
    ['/outbox/discard', { filter: { ids: [1] } }, '/reason'],
    ['/outbox/discard', { filter: { ids: [1] }, reason: '' }, '/reason'],
    ['/outbox/discard', { filter: { ids: ['1'] }, reason: 'x' }, '/filter/ids/0'],
    ['/shards/pause', {}, '/shards'],
    ['/shards/pause', { shards: [8] }, '/shards'],
    ['/shards/resume', { shards: [0, 8] }, '/shards'],
  ])('POST %s refuses %j, and says where the fault is: %s', async (path, body, pointer) => {
    const answer = await post(path, body);
    expect(answer).toMatchObject({ status: 422, body: { error_code: 'INVALID_PAYLOAD' } });
    expect((answer.body['errors'] as readonly Body[]).map((error) => error['pointer'])).toContain(pointer);
    expect(await rig.query('SELECT FROM operator_actions')).toHaveLength(0);
  });

  it('nothing without a body, and nothing for others, whatever they send', async () => {
    expect(await ask('POST', '/outbox/retry')).toMatchObject({
      status: 400,
      body: { error_code: 'MALFORMED_REQUEST' },
    });
    for (const roles of [[], ['agent'], ['author', 'agent']]) {
      for (const body of [{ filter: { ids: [1] } }, {}, []]) {
        expect(await ask('POST', '/outbox/retry', body, roles)).toMatchObject({ status: 403 });
      }
    }
    expect(await ask('DELETE', '/outbox/rows')).toMatchObject({ status: 405 });
    expect(await ask('GET', '/outbox/retry')).toMatchObject({ status: 405 });
  });

  it('is told as busy when somebody keeps a shard locked', async () => {
    const holder = await rig.pool.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT FROM relay_shards WHERE shard = 5 FOR UPDATE');
    expect(await post('/shards/pause', { shards: [5] })).toMatchObject({
      status: 503,
      body: { error_code: 'UNAVAILABLE' },
    });
    await holder.query('ROLLBACK');
    holder.release();
  });
});
