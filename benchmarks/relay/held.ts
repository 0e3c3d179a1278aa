import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { shardOf } from '../../src/outbox/shard.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { BacklogWriter } from './backlog.ts';
import { summary, told, type SoakClaim } from './soak.ts';
import { createDatabase, openPlace, PARTITIONS, type Place, type Stage } from './stage.ts';
import { startTimedRelay } from './timed-relay.ts';

export interface HeldPlan {
  /** Rows of one session behind its FAILED row. */
  readonly rows: number;
  readonly payload: number;
  readonly delivery: DeliveryMode;
}

const SESSIONS = 10_000;
/** Rows of other sessions before, and again after, the held rows were written. */
const OTHERS = 100_000;
const HELD_STEP = 20_000;

/** The next rows of one session: versions from $2 to $3. */
const INSERT = `
  WITH numbered AS (
    SELECT n, gen_random_uuid() AS event_id FROM generate_series($2::int, $3::int) AS n
  ), stored AS (
    INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
                               correlation_id, causation_id, created_at)
    SELECT event_id, 'GENESIS_SESSION', $1, n, 'Genesis.Session.Submitted', 1, '{}', '{}', event_id, event_id, now() FROM numbered
  )
  INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers)
  SELECT event_id, $4, $1, $5, n, '{"feedback":"held"}', json_build_object('ce_id', event_id, 'sequence', n::text) FROM numbered ORDER BY n`;

/** Many rows wait behind a FAILED one: do the others notice? Then it is retried, and all come out. */
export async function measureHeld(stage: Stage, plan: HeldPlan): Promise<void> {
  const place = await openPlace(stage, await createDatabase(stage), plan.delivery);
  const file = join(stage.folder, 'held.json');
  const { databaseUrl, kafka } = place;
  const writer = await BacklogWriter.open({
    databaseUrl,
    topic: kafka.topic,
    sessions: SESSIONS,
    payload: plan.payload,
  });
  const relay = startTimedRelay(place, plan.delivery, file);
  let freed: number;
  try {
    await relay.pass(writer, OTHERS);
    await hold(place, plan.rows);
    await relay.pass(writer, 2 * OTHERS);
    freed = await free(place, relay.published, 2 * OTHERS + plan.rows);
  } finally {
    await relay.stop();
    await writer.close();
    await place.close();
  }
  const claims = JSON.parse(readFileSync(file, 'utf8')) as SoakClaim[];
  const before = summary(claims.filter(({ upTo }) => upTo <= OTHERS));
  const beside = summary(claims.filter(({ upTo }) => upTo > OTHERS && upTo <= 2 * OTHERS));
  console.log(
    `held, ${plan.delivery}, ${plan.rows} rows behind a FAILED one: claims of other sessions p50/p99 ms: before ${told(before)}, ` +
      `beside them ${told(beside)}; after the retry all were published in ${freed.toFixed(0)} s (${Math.round(plan.rows / freed)}/s)`,
  );
  stage.report({ measure: 'held', ...plan, before, beside, freedSeconds: freed });
}

/** A session whose first row is FAILED, and so many behind it. */
async function hold({ database, kafka }: Place, rows: number): Promise<void> {
  const key = uuidv7();
  const client = await database.connect();
  const insert = async (from: number, to: number): Promise<void> => {
    await client.query(INSERT, [key, from, to, kafka.topic, shardOf(key, PARTITIONS)]);
  };
  try {
    await client.query('BEGIN');
    await insert(1, 1);
    await client.query(
      `UPDATE event_outbox SET status = 'FAILED', last_error = 'held for the measurement' WHERE key = $1`,
      [key],
    );
    await client.query('COMMIT');
    for (let at = 2; at <= rows; at += HELD_STEP) await insert(at, Math.min(rows, at + HELD_STEP - 1));
  } finally {
    client.release();
  }
}

/** Retries the FAILED row. Seconds until all are published. */
async function free({ database }: Place, published: () => Promise<number>, total: number): Promise<number> {
  const began = performance.now();
  await database.query(
    `UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED' AND key = (SELECT key FROM event_outbox_holds LIMIT 1)`,
  );
  while ((await published()) < total) await sleep(100);
  return (performance.now() - began) / 1_000;
}
