import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const ID = '01890000-0000-7000-8000-000000000000';

/** What the database itself refuses, whoever asks. */
describe('the tables', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query(
      `INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload,
         metadata, correlation_id, causation_id, created_at)
       VALUES ($1, 'GENESIS_SESSION', $1, 1, 'Genesis.Session.Created', 1, '{}', '{}', $1, $1, now())`,
      [ID],
    );
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  it.each([
    ['UPDATE', 'UPDATE domain_events SET event_version = 2'],
    ['DELETE', 'DELETE FROM domain_events'],
    ['DELETE', 'DELETE FROM domain_events WHERE false'],
    ['TRUNCATE', 'TRUNCATE domain_events'],
  ])('domain_events refuses %s', async (operation, statement) => {
    await expect(client.query(statement)).rejects.toThrow(`domain_events is append-only: ${operation} refused`);
  });

  it('not even the owner of domain_events has the right to change it', async () => {
    const { rows } = await client.query<{ rights: string }>(
      `SELECT string_agg(privilege_type, ' ') AS rights FROM pg_class, aclexplode(relacl) WHERE relname = 'domain_events' AND grantee = relowner`,
    );
    expect(rows[0]?.rights.split(' ')).toEqual(expect.arrayContaining(['INSERT', 'SELECT']));
    expect(rows[0]?.rights).not.toMatch(/UPDATE|DELETE|TRUNCATE/);
  });

  it.each([
    [
      'a second event of the same version',
      `'01890000-0000-7000-8000-000000000001', '${ID}', 1, 'Genesis.Session.Updated', 1`,
    ],
    ['the same event twice', `'${ID}', '01890000-0000-7000-8000-000000000002', 1, 'Genesis.Session.Updated', 1`],
    ['a version below 1', `'01890000-0000-7000-8000-000000000001', '${ID}', 0, 'Genesis.Session.Updated', 1`],
    ['a name that is none', `'01890000-0000-7000-8000-000000000001', '${ID}', 2, 'session updated', 1`],
  ])('domain_events refuses %s', async (_what, values) => {
    await expect(
      client.query(
        `INSERT INTO domain_events (event_id, aggregate_id, aggregate_version, event_type, event_version, aggregate_type, payload,
           metadata, correlation_id, causation_id, created_at)
         VALUES (${values}, 'GENESIS_SESSION', '{}', '{}', '${ID}', '${ID}', now())`,
      ),
    ).rejects.toThrow(/duplicate key|violates check/);
  });

  describe('event_outbox', () => {
    /** How a row gets from PENDING to each status. */
    const WAYS = {
      PENDING: [],
      SENT: [`status = 'SENT', sent_at = now(), partition = 0, "offset" = 0`],
      FAILED: [`status = 'FAILED', last_error = 'no', retry_count = 3`],
      DISCARDED: [`status = 'DISCARDED'`],
    } as const;
    const ALLOWED = new Set([
      'PENDING SENT',
      'PENDING FAILED',
      'PENDING DISCARDED',
      'FAILED PENDING',
      'FAILED DISCARDED',
    ]);
    const statuses = Object.keys(WAYS) as (keyof typeof WAYS)[];
    let sequence = 0;

    async function rowIn(status: keyof typeof WAYS): Promise<number> {
      sequence += 1;
      const { rows } = await client.query<{ id: string }>(
        `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
         VALUES (gen_random_uuid(), 't', $1, 0, $2, '{}', '{}') RETURNING id`,
        [ID, sequence],
      );
      const id = Number(rows[0]?.id);
      for (const change of WAYS[status]) await client.query(`UPDATE event_outbox SET ${change} WHERE id = $1`, [id]);
      return id;
    }

    const pairs = statuses.flatMap((from) => statuses.filter((to) => to !== from).map((to) => [from, to] as const));
    it.each(pairs)('%s → %s is what the state machine says', async (from, to) => {
      const id = await rowIn(from);
      const change = to === 'PENDING' ? `status = 'PENDING', sent_at = NULL` : WAYS[to].join();
      const update = client.query(`UPDATE event_outbox SET ${change} WHERE id = $1`, [id]);
      if (ALLOWED.has(`${from} ${to}`)) expect((await update).rowCount).toBe(1);
      else await expect(update).rejects.toThrow(`${from} -> ${to} is not a transition`);
    });

    it('starts anew with a FAILED row that somebody sets to PENDING', async () => {
      const id = await rowIn('FAILED');
      await client.query(`UPDATE event_outbox SET status='PENDING' WHERE id=$1`, [id]);
      const { rows } = await client.query(
        'SELECT status, retry_count, scheduled_at <= now() AS due FROM event_outbox WHERE id = $1',
        [id],
      );
      expect(rows).toEqual([{ status: 'PENDING', retry_count: 0, due: true }]);
    });

    it.each(['payload', 'key', 'topic', 'event_id', 'sequence', 'headers', 'shard'])(
      'keeps %s as it was written',
      async (column) => {
        const id = await rowIn('PENDING');
        await expect(client.query(`UPDATE event_outbox SET ${column} = ${column} WHERE id = $1`, [id])).rejects.toThrow(
          'cannot be changed',
        );
      },
    );

    it('lets rows go that are done with, and no others', async () => {
      for (const status of ['PENDING', 'FAILED'] as const) {
        const id = await rowIn(status);
        await expect(client.query('DELETE FROM event_outbox WHERE id = $1', [id])).rejects.toThrow('cannot be deleted');
      }
      for (const status of ['SENT', 'DISCARDED'] as const) {
        const id = await rowIn(status);
        expect((await client.query('DELETE FROM event_outbox WHERE id = $1', [id])).rowCount).toBe(1);
      }
      await expect(client.query('TRUNCATE event_outbox')).rejects.toThrow('must not be truncated');
    });
  });
});
