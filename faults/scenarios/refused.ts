import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from '../judge/judge.ts';
import { promise, type Scenario } from '../scenario.ts';
import type { ClientSession } from '../client-session.ts';
import { until } from '../until.ts';
import type { World } from '../world.ts';

/** The topic takes batches of so many bytes; ordinary events are far smaller. */
const LIMIT = 24_000;
/** Characters of three bytes each: one event is too large. */
const LARGE = 9_000;
const QUIET = 8_000;
/** Waits after the first, second and third refusal, in milliseconds, and how much later the refusal after it may be. */
const DELAYS = [1_000, 2_000, 4_000] as const;
const SLACK = 900;
/** And how much sooner it may seem to come: a look at the table takes its time on a busy machine. */
const LATE_LOOK = 300;
/** How much worse others' p99 may become, in milliseconds; on a machine that is busy with other things, by as much as it is anyway. */
const WORSE = 50;

interface Tries {
  /** When each try was charged, and when the row became FAILED, by the monotonic clock. */
  readonly at: readonly number[];
  readonly error: string;
}

/** An event too large for the topic, with one before it and three after it. */
async function sendLarge(world: World, session: ClientSession): Promise<void> {
  const feedback = (text: string) => ({ type: 'SubmitFeedback' as const, payload: { feedback: text } });
  await world.workload.send(session, feedback('before'));
  await world.workload.send(session, feedback('巨'.repeat(LARGE)));
  for (const text of ['after', 'after that', 'at last']) await world.workload.send(session, feedback(text));
}

/** The state of the session's large row. */
async function largeRow(world: World, session: ClientSession) {
  const [row] = await world.query<{ id: string; retry_count: number; status: string; last_error: string | null }>(
    `SELECT id, retry_count, status, last_error FROM event_outbox WHERE key = $1 AND sequence = 3`,
    [session.id],
  );
  return row;
}

/** Watches the row through all its tries until it is FAILED. */
async function watchTries(world: World, session: ClientSession): Promise<Tries> {
  const at: number[] = [];
  for (let seen = 0; seen <= DELAYS.length; seen += 1) {
    await until(
      `refusal ${seen + 1}`,
      async () => {
        const row = await largeRow(world, session);
        return row !== undefined && (row.status === 'FAILED' || row.retry_count > seen);
      },
      { every: 10, within: 20_000 },
    );
    at.push(performance.now());
  }
  const row = await largeRow(world, session);
  return { at, error: row?.status === 'FAILED' ? (row.last_error ?? '') : `it is ${row?.status}` };
}

function judgeTries({ at, error }: Tries): readonly Violation[] {
  const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0));
  const right = DELAYS.every((delay, index) => {
    const wait = waits[index] ?? 0;
    return wait > delay - LATE_LOOK && wait < delay + SLACK;
  });
  const told = waits.map((wait) => Math.round(wait)).join(', ');
  return [
    ...promise('retries after 1, 2 and 4 s', right, `waits of ${told} ms`),
    ...promise("FAILED with the broker's words", /large/iu.test(error), error),
  ];
}

/** What waits behind the large event must not be in the topic. */
async function judgeHeld(world: World, session: ClientSession): Promise<readonly Violation[]> {
  const rows = await world.query<{ sequence: number; status: string }>(
    `SELECT sequence, status FROM event_outbox WHERE key = $1 AND sequence <> 3 ORDER BY sequence`,
    [session.id],
  );
  const states = rows.map(({ status }) => status).join(' ');
  return promise('the session waits', states === 'SENT SENT PENDING PENDING PENDING', states);
}

async function setLimit(world: World, limit: number | null): Promise<void> {
  const value = limit === null ? null : String(limit);
  await world.infrastructure.cluster.admin.configureTopic(world.kafka.topic, { 'max.message.bytes': value });
}

async function troubledSession(world: World): Promise<ClientSession> {
  const session = await world.workload.createSession();
  world.latency.ignore(session.id);
  return session;
}

const setStatus = (world: World, session: ClientSession, status: 'PENDING' | 'DISCARDED') =>
  world.query(`UPDATE event_outbox SET status = $2 WHERE key = $1 AND sequence = 3`, [session.id, status]);

export const oversize: Scenario = {
  name: 'oversize',
  about:
    'an event too large for the topic among others: its session waits through 1, 2, 4 s and FAILED, others do not notice; then a retry and a discard',
  needs: { brokers: 1 },
  async run(world) {
    world.relays.start();
    const [retried, discarded] = [await troubledSession(world), await troubledSession(world)];
    await world.workload.start({ rate: 200 });
    await world.untilPublishing();
    await sleep(QUIET / 2);
    const calm = performance.now();
    await sleep(QUIET);
    const normal = world.latency.summary(calm);
    world.fault('the topic takes smaller batches, and two large events come');
    await setLimit(world, LIMIT);
    const since = performance.now();
    // The first refusal may come before the last of them is sent.
    const [tries] = await Promise.all([
      watchTries(world, retried),
      sendLarge(world, retried),
      sendLarge(world, discarded),
    ]);
    const beside = world.latency.summary(since);
    await until('the other one FAILED', async () => (await largeRow(world, discarded))?.status === 'FAILED');
    const held = [...(await judgeHeld(world, retried)), ...(await judgeHeld(world, discarded))];
    await setLimit(world, null);
    await setStatus(world, retried, 'PENDING');
    await setStatus(world, discarded, 'DISCARDED');
    world.healed();
    const worse = beside.p99 - normal.p99;
    return {
      recovery: await world.untilRecovered(),
      figures: { p99: Math.round(normal.p99), 'p99 beside': Math.round(beside.p99) },
      violations: [
        ...judgeTries(tries),
        ...held,
        ...promise(
          'others go on',
          worse < Math.max(WORSE, normal.p99),
          `p99 of others ${normal.p99} ms, beside refusals ${beside.p99} ms`,
        ),
      ],
    };
  },
};

export const refusedAndMoved: Scenario = {
  name: 'refused-and-moved',
  about:
    'relays are killed and shards move while a refused event waits for its retry and while it is FAILED; its session stays held',
  needs: { brokers: 1 },
  async run(world) {
    const relays = [world.relays.start(), world.relays.start()];
    const session = await troubledSession(world);
    await world.workload.start({ rate: 200 });
    await world.untilPublishing();
    await setLimit(world, LIMIT);
    await sendLarge(world, session);
    await until('the second refusal', async () => ((await largeRow(world, session))?.retry_count ?? 0) >= 2, {
      every: 10,
    });
    world.fault('both relays are killed during the wait of 2 s');
    await Promise.all(relays.map((relay) => relay.kill()));
    const waiting = await judgeHeld(world, session);
    await until('FAILED', async () => (await largeRow(world, session))?.status === 'FAILED', { within: 90_000 });
    world.fault('both relays are killed while it is FAILED, and a third comes');
    await Promise.all(relays.map((relay) => relay.kill()));
    world.relays.start();
    await world.untilPublishing();
    await sleep(world.random.between(6_000, 9_000));
    const failed = await judgeHeld(world, session);
    await setLimit(world, null);
    await setStatus(world, session, world.random.chance(0.5) ? 'PENDING' : 'DISCARDED');
    world.healed();
    return { recovery: await world.untilRecovered(), violations: [...waiting, ...failed] };
  },
};
