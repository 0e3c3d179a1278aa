import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Claim, ClaimedRow } from '../../src/relay/ports.ts';
import { SHARDS, startOutboxRig, type OutboxRig } from './outbox-rig.ts';
import { randomOf, Writers } from './outbox-writers.ts';

let rig: OutboxRig;

beforeAll(async () => {
  rig = await startOutboxRig();
});
afterAll(() => rig.stop());
beforeEach(async () => {
  await rig.run('DROP TABLE IF EXISTS session_versions');
  await rig.reset();
});

/** Where a shard's next claim begins, after this claim and with these rows unsettled. */
type FloorOf = (claim: Claim, unsettled: readonly ClaimedRow[], shard: number) => number;

/** As the relay does it: see Claim.horizon. */
const sound: FloorOf = (claim, unsettled, shard) => {
  const last = claim.rows.findLast(({ held }) => !held)?.id;
  const seen = claim.complete ? claim.horizon : Math.min(claim.horizon, (last ?? 0) + 1);
  const lowest = unsettled.filter((row) => row.shard === shard && !row.held).map(({ id }) => id);
  return Math.min(seen, ...lowest);
};

/** A relay without a broker: claims while the batch before is on its way, forgets now and then what it has not sent. */
class Consumer {
  readonly sent: ClaimedRow[] = [];
  readonly #random: () => number;
  readonly #floorOf: FloorOf;
  readonly #floors = new Map(SHARDS.map((shard) => [shard, 1]));
  #inFlight: readonly ClaimedRow[] = [];
  #queue: readonly ClaimedRow[] = [];

  constructor(seed: number, floorOf: FloorOf) {
    this.#random = randomOf(seed);
    this.#floorOf = floorOf;
  }

  /** Whether anything was claimed or is on its way. */
  async step(): Promise<boolean> {
    if (this.#random() < 0.05) this.#queue = [];
    const claim = await rig.claim({
      floor: Math.min(...this.#floors.values()),
      limit: 1 + Math.floor(this.#random() * 30),
      exceptIds: [...this.#inFlight, ...this.#queue].map(({ id }) => id),
    });
    this.#queue = [...this.#queue, ...claim.rows];
    const unsettled = [...this.#inFlight, ...this.#queue];
    for (const shard of claim.shards) {
      const floor = this.#floorOf(claim, unsettled, shard);
      this.#floors.set(shard, Math.max(this.#floors.get(shard) ?? 1, floor));
    }
    this.sent.push(...this.#inFlight);
    await rig.publish(this.#inFlight);
    this.#inFlight = this.#queue;
    this.#queue = [];
    return unsettled.length > 0;
  }
}

interface Judgement {
  readonly committed: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

async function run(seed: number, floorOf: FloorOf, meanwhile?: (n: number) => Promise<void>): Promise<Judgement> {
  const consumer = new Consumer(seed, floorOf);
  let writing = true;
  const written = new Writers(rig, seed).write(14, 25).finally(() => (writing = false));
  for (let n = 0; writing; n += 1) {
    await consumer.step();
    await meanwhile?.(n);
  }
  await written;
  await rig.run("UPDATE event_outbox SET status = 'PENDING' WHERE status = 'FAILED'");
  while (await consumer.step());
  const { rows } = await rig.admin.query<{ id: string }>('SELECT id FROM event_outbox');
  const sent = new Set(consumer.sent.map(({ id }) => id));
  const last = new Map<string, number>();
  let reordered = 0;
  for (const { key, sequence } of consumer.sent) {
    if (sequence !== (last.get(key) ?? 0) + 1) reordered += 1;
    last.set(key, sequence);
  }
  return {
    committed: rows.length,
    lost: rows.filter(({ id }) => !sent.has(Number(id))).length,
    duplicated: consumer.sent.length - sent.size,
    reordered,
  };
}

describe('beside many writers who take ids early and commit late', () => {
  const nothingWrong = { lost: 0, duplicated: 0, reordered: 0 };

  it.each([1, 2, 3, 4])('nothing is lost, doubled or out of order: seed %i', { timeout: 60_000 }, async (seed) => {
    const judgement = await run(seed, sound);
    expect(judgement).toMatchObject(nothingWrong);
    expect(judgement.committed).toBeGreaterThan(300);
    const { floor = 0 } =
      (await rig.value<{ floor: number }>('SELECT max(id)::float8 AS floor FROM event_outbox')) ?? {};
    const { horizon } = await rig.claim();
    expect(horizon).toBeGreaterThan(floor);
  });

  it('nor when rows are refused, retried and discarded meanwhile', { timeout: 60_000 }, async () => {
    const random = randomOf(5);
    const change = async () => {
      const share = random();
      const any = '(SELECT id FROM event_outbox WHERE status = $1 ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED)';
      if (share < 0.2) await rig.run(`UPDATE event_outbox SET status = 'DISCARDED' WHERE id = ${any}`, ['PENDING']);
      else if (share < 0.4)
        await rig.run(`UPDATE event_outbox SET status = 'FAILED', last_error = 'x' WHERE id = ${any}`, ['PENDING']);
      else if (share < 0.6) await rig.run(`UPDATE event_outbox SET status = 'PENDING' WHERE id = ${any}`, ['FAILED']);
      else if (share < 0.7) await rig.run(`UPDATE event_outbox SET status = 'DISCARDED' WHERE id = ${any}`, ['FAILED']);
    };
    // What is on its way when it is made FAILED by hand goes out twice: nobody refused it.
    expect(await run(5, sound, change)).toMatchObject({ lost: 0 });
    expect(await rig.value('SELECT count(*)::int AS holds FROM event_outbox_holds')).toEqual({ holds: 0 });
    const left = 'SELECT count(*)::int AS rows FROM event_outbox WHERE sent_at IS NULL';
    expect(await rig.value(left)).toEqual({ rows: 0 });
  });

  it.each<[string, FloorOf]>([
    ['claims begin behind the last id seen', ({ rows, horizon }) => (rows.at(-1)?.id ?? Math.min(horizon, 1) - 1) + 1],
    [
      'the horizon is the highest visible id',
      (claim, unsettled, shard) =>
        sound({ ...claim, horizon: Math.max(1, ...claim.rows.map(({ id }) => id + 1)) }, unsettled, shard),
    ],
  ])('this test notices when %s', { timeout: 60_000 }, async (_, broken) => {
    const { lost } = await run(6, broken);
    expect(lost).toBeGreaterThan(0);
  });
});

describe('the horizon', () => {
  let writers: pg.Client[] = [];
  const connect = async () => {
    const client = await rig.connect();
    writers.push(client);
    return client;
  };
  afterEach(async () => {
    for (const client of writers) await client.end();
    writers = [];
  });

  it('stays behind an id that may still come, and passes it with its end', async () => {
    const writer = await connect();
    await writer.query('BEGIN');
    await writer.query("SELECT nextval('event_outbox_id_seq')");
    const { ids } = await rig.session(2);
    // Who was seen first decides; whoever came later does not.
    const first = await rig.claim();
    expect(first.rows.map(({ id }) => id)).toEqual(ids);
    expect(first.horizon).toBeLessThanOrEqual(1);
    await rig.publish(first.rows);
    await writer.query('SAVEPOINT a; SELECT 1; ROLLBACK TO a');
    expect((await rig.claim()).horizon).toBeLessThanOrEqual(1);
    await writer.query('ROLLBACK');
    expect((await rig.claim()).horizon).toBe((ids[1] ?? 0) + 1);
  });

  it('moves on though there is never a moment without writers', async () => {
    const [one, two] = [await connect(), await connect()];
    const take = async (client: typeof one) => {
      await client.query('BEGIN');
      await client.query("SELECT nextval('event_outbox_id_seq')");
    };
    await take(one);
    expect((await rig.claim()).horizon).toBe(1);
    for (let round = 0; round < 5; round += 1) {
      await take(two);
      await one.query('ROLLBACK');
      await take(one);
      await two.query('ROLLBACK');
      await rig.claim();
    }
    expect((await rig.claim()).horizon).toBeGreaterThan(8);
  });
});
