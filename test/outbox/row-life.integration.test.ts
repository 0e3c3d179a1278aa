import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drawnBelow } from '../docs/drawing.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const STATUSES = ['PENDING', 'SENT', 'FAILED', 'DISCARDED'];
const CHECK_VIOLATION = '23514';

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function insert(status: string): Promise<string> {
  const id = uuidv7();
  await client.query(
    `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, last_error, sent_at)
     VALUES ($1, 'domain-events', $2, 0, 1, '{}', '{}', $3::text, CASE $3::text WHEN 'FAILED' THEN 'too large' END,
             CASE $3::text WHEN 'SENT' THEN now() END)`,
    [id, uuidv7(), status],
  );
  return id;
}

async function change(eventId: string, status: string): Promise<void> {
  await client.query(
    `UPDATE event_outbox SET status = $2::text, last_error = CASE $2::text WHEN 'FAILED' THEN 'too large' END,
            sent_at = CASE $2::text WHEN 'SENT' THEN now() END
     WHERE event_id = $1`,
    [eventId, status],
  );
}

it('a row of the outbox may take the ways that docs/relay.md draws, and no other, whoever changes it', async () => {
  const admitted: string[] = [];
  for (const from of STATUSES) {
    for (const to of STATUSES.filter((status) => status !== from)) {
      const eventId = await insert(from);
      try {
        await change(eventId, to);
        admitted.push(`${from} -> ${to}`);
      } catch (error) {
        expect(error).toMatchObject({ code: CHECK_VIOLATION, message: expect.stringContaining('is not a transition') });
      }
    }
  }
  const drawn = drawnBelow('docs/relay.md', '## A row', { waiting: 'PENDING', marked: 'DISCARDED' });
  expect(admitted.toSorted()).toEqual(drawn);
});
