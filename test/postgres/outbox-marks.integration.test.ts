import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { v7 as uuid } from 'uuid';
import { startOutboxRig, type OutboxRig } from './outbox-rig.ts';

let rig: OutboxRig;

beforeAll(async () => {
  rig = await startOutboxRig();
});
afterAll(() => rig.stop());
beforeEach(() => rig.reset());

describe('marks', () => {
  it('only what waits becomes SENT; who was discarded gets the place of its record', async () => {
    const { ids } = await rig.session(4);
    const [first = 0, second = 0, third = 0, fourth = 0] = ids;
    await rig.run("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [second]);
    await rig.run("UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id = $1", [fourth]);
    const sent = [first, second, fourth].map((id, n) => ({ id, partition: 3, offset: `900719925474099${n}` }));
    expect(await rig.store.markSent(sent)).toEqual([]);
    expect(await rig.store.markSent(sent.map((one) => ({ ...one, offset: '1' })))).toEqual([]);
    const { rows } = await rig.admin.query(
      'SELECT id::int, status, partition, "offset", sent_at IS NOT NULL AS dated FROM event_outbox ORDER BY id',
    );
    expect(rows).toEqual([
      { id: first, status: 'SENT', partition: 3, offset: '9007199254740990', dated: true },
      { id: second, status: 'DISCARDED', partition: 3, offset: '9007199254740991', dated: true },
      { id: third, status: 'PENDING', partition: null, offset: null, dated: false },
      { id: fourth, status: 'FAILED', partition: null, offset: null, dated: false },
    ]);
  });

  it('leave rows that somebody has locked for later, each time', async () => {
    const { ids } = await rig.session(3);
    const sent = ids.map((id) => ({ id, partition: 3, offset: String(id) }));
    const operator = await rig.connect();
    await operator.query('BEGIN');
    await operator.query("UPDATE event_outbox SET status = 'DISCARDED' WHERE id = $1", [ids[1]]);
    expect(await rig.store.markSent(sent)).toEqual([ids[1]]);
    expect(await rig.store.markSent(sent.slice(1, 2))).toEqual([ids[1]]);
    await operator.query('COMMIT');
    await operator.end();
    expect(await rig.store.markSent(sent.slice(1, 2))).toEqual([]);
    const { rows } = await rig.admin.query('SELECT status FROM event_outbox WHERE sent_at IS NOT NULL ORDER BY id');
    expect(rows).toEqual([{ status: 'SENT' }, { status: 'DISCARDED' }, { status: 'SENT' }]);
  });

  it('need no lease', async () => {
    const { ids } = await rig.session(1);
    await rig.run('UPDATE relay_shards SET owner = 2');
    expect(await rig.store.markSent([{ id: ids[0] ?? 0, partition: 3, offset: '0' }])).toEqual([]);
    expect(await rig.value('SELECT status FROM event_outbox')).toEqual({ status: 'SENT' });
  });

  it('of records that were found count each row once, and only its own event', async () => {
    const { key, ids } = await rig.session(4);
    const events = await rig.admin.query<{ event_id: string }>('SELECT event_id FROM event_outbox ORDER BY id');
    const [one = '', two = '', three = '', four = ''] = events.rows.map((row) => row.event_id);
    const found = { partition: 3, key, discarded: false };
    const records = [
      { ...found, offset: '5', sequence: 1, eventId: one },
      { ...found, offset: '6', sequence: 1, eventId: one },
      { ...found, offset: '7', sequence: 2, eventId: two, discarded: true },
      { ...found, offset: '8', sequence: 3, eventId: four },
      { ...found, offset: '9', sequence: 3, eventId: three, key: 'somebody else’s' },
      { ...found, offset: '10', sequence: 3, eventId: 'somebody else’s' },
    ];
    expect(await rig.store.markFound(records)).toEqual({ marked: 2, locked: [] });
    expect(await rig.store.markFound(records)).toEqual({ marked: 0, locked: [] });
    const { rows } = await rig.admin.query('SELECT id::int, status, "offset" FROM event_outbox ORDER BY id');
    expect(rows).toEqual([
      { id: ids[0], status: 'SENT', offset: '5' },
      { id: ids[1], status: 'DISCARDED', offset: '7' },
      { id: ids[2], status: 'PENDING', offset: null },
      { id: ids[3], status: 'PENDING', offset: null },
    ]);
  });

  it('of found records tell which rows somebody has locked: they must not be sent again', async () => {
    const { key, ids } = await rig.session(1);
    const event = await rig.value<{ eventId: string }>('SELECT event_id AS "eventId" FROM event_outbox');
    const operator = await rig.connect();
    await operator.query('BEGIN');
    await operator.query('SELECT FROM event_outbox WHERE id = $1 FOR UPDATE', [ids[0]]);
    const records = [{ partition: 3, offset: '1', key, sequence: 1, discarded: false, eventId: event?.eventId ?? '' }];
    expect(await rig.store.markFound(records)).toEqual({ marked: 0, locked: [{ id: ids[0], record: records[0] }] });
    await operator.end();
    expect(await rig.store.markFound(records)).toEqual({ marked: 1, locked: [] });
  });

  it('tell records of events that the database does not know', async () => {
    const known = uuid();
    await rig.run(
      `INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload,
         metadata, correlation_id, causation_id, created_at)
       VALUES ($1, 'GENESIS_SESSION', $1, 1, 'Genesis.Session.Created', 1, '{}', '{}', $1, $1, now())`,
      [known],
    );
    const record = { partition: 0, offset: '1', key: known, sequence: 1, discarded: false };
    const records = [known, known.toUpperCase(), uuid(), 'none'].map((eventId) => ({ ...record, eventId }));
    expect(await rig.store.findForeign(records)).toEqual(records.slice(2));
    expect(await rig.store.findForeign([])).toEqual([]);
  });
});
