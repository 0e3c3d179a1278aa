import { expect, test } from 'vitest';
import { createPool } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { readEarlierRuns } from '../../src/postgres/earlier-runs.ts';
import { silent } from '../support/commands.ts';
import { RelayGroupRig } from './relay-group-rig.ts';

const rig = RelayGroupRig.install();

async function earlier() {
  const pool = createPool({ url: rig.url, poolSize: 1 }, 'test', silent);
  try {
    return await readEarlierRuns(createRead(pool, 5_000));
  } finally {
    await pool.end();
  }
}

test('a new database knows of nothing before', async () => {
  expect(await earlier()).toEqual({
    newestTopic: null,
    publishedTopic: null,
    published: false,
    exactlyOnce: false,
  });
});

test('the newest row says which topic it is for', async () => {
  const insert = `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
    VALUES (gen_random_uuid(), $1, gen_random_uuid(), 0, 1, '', '{}')`;
  await rig.admin.query(insert, ['of-old']);
  await rig.admin.query(insert, ['of-now']);
  expect(await earlier()).toMatchObject({ newestTopic: 'of-now', publishedTopic: null, published: false });
});

test('the newest row that was published says where to; positions say that something was, also when the rows are gone', async () => {
  const insert = `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, sent_at, partition, "offset")
    VALUES (gen_random_uuid(), $1, gen_random_uuid(), 0, 1, '', '{}', $2, CASE $2 WHEN 'SENT' THEN now() END, CASE $2 WHEN 'SENT' THEN 0 END, 0)`;
  for (const topic of ['before-that', 'of-old']) await rig.admin.query(insert, [topic, 'SENT']);
  await rig.admin.query(insert, ['of-now', 'PENDING']);
  expect(await earlier()).toMatchObject({ newestTopic: 'of-now', publishedTopic: 'of-old', published: false });
  await rig.admin.query('UPDATE relay_shards SET position = 1 WHERE shard = 3');
  expect(await earlier()).toMatchObject({ published: true });
});

test('a relay that delivered exactly once is known of until the next one has joined, though it left in good order', async () => {
  const before = await rig.join({ delivery: 'exactly-once' });
  await before.acquire([0]);
  await before.leave();
  expect(await earlier()).toMatchObject({ exactlyOnce: true });
  const next = await rig.join();
  expect(next.id).not.toBe(before.id);
  expect(await rig.membersInTable()).toEqual([next.id]);
});

test('one that delivered at least once leaves nothing behind', async () => {
  const before = await rig.join();
  await before.acquire([0]);
  await before.leave();
  expect(await rig.membersInTable()).toEqual([]);
  expect(await earlier()).toMatchObject({ exactlyOnce: false });
});
