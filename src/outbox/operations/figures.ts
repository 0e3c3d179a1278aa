import type { SessionId } from '../../genesis/ids.ts';
import type { CountLook, OperationsStore, ShardCount, ShardFacts } from './ports.ts';

/** What is not published yet. */
export interface Backlog extends Omit<ShardCount, 'shard'> {
  /** False: there is more than was counted. Each number is at least that. */
  readonly complete: boolean;
}

/** The backlog of each shard, and of all together. */
export interface Backlogs {
  readonly total: Backlog;
  readonly shards: ReadonlyMap<number, Backlog>;
}

/** How much is looked at. */
export interface CountLimits {
  /** Most rows of the ordinary way, and of sessions on hold, each. */
  readonly rows: number;
  /** Rows of one look. */
  readonly step: number;
  /** Milliseconds after which no further look is begun. */
  readonly time: number;
}

const COUNT_LIMITS: CountLimits = { rows: 100_000, step: 10_000, time: 1_000 };

type Counter = Pick<OperationsStore, 'countOrdinary' | 'countHeld'>;

const NOTHING: Backlog = {
  pending: 0,
  waitingForRetry: 0,
  held: 0,
  failed: 0,
  discarded: 0,
  sessionsOnHold: 0,
  oldestAge: null,
  complete: true,
};

/**
 * Counts what is not published, without an index on the status: sessions on hold have a table of their own, and the other
 * PENDING rows stand at or above their shard's floor. Shards that lag behind by far keep nobody from seeing the others: when the
 * looks from the lowest floor have used their part, the next begin at a higher one.
 */
export async function countBacklogs(
  store: Counter,
  shards: readonly ShardFacts[],
  limits: CountLimits = COUNT_LIMITS,
): Promise<Backlogs> {
  const endsAt = performance.now() + limits.time;
  const backlogs = new Map(shards.map(({ shard }) => [shard, NOTHING]));
  const held = await countHeld(store, limits, endsAt, backlogs);
  const unseen = await countOrdinary(store, shards, limits, endsAt, backlogs);
  for (const [shard, backlog] of backlogs) {
    const complete = backlog.complete && held && !unseen.has(shard);
    backlogs.set(shard, { ...backlog, complete });
  }
  return { total: [...backlogs.values()].reduce(sum, NOTHING), shards: backlogs };
}

/** Whether all were counted. */
async function countHeld(
  store: Counter,
  limits: CountLimits,
  endsAt: number,
  into: Map<number, Backlog>,
): Promise<boolean> {
  let after: SessionId | null = null;
  let examined = 0;
  do {
    const look: CountLook<SessionId> = await store.countHeld(after);
    add(look, into);
    examined += look.examined;
    after = look.next;
  } while (after !== null && examined < limits.rows && performance.now() < endsAt);
  return after === null;
}

/** Gives the shards of which not every row was seen. */
async function countOrdinary(
  store: Counter,
  shards: readonly ShardFacts[],
  limits: CountLimits,
  endsAt: number,
  into: Map<number, Backlog>,
): Promise<ReadonlySet<number>> {
  const floors = shards.map(({ floor }) => floor).toSorted((one, other) => one - other);
  const budget = { ...limits, endsAt, halfTime: (performance.now() + endsAt) / 2, left: limits.rows };
  const unseen = new Set<number>();
  let [from] = floors;
  while (from !== undefined) {
    const look: CountLook<number> = await store.countOrdinary(from, Math.min(limits.step, budget.left));
    add(look, into);
    budget.left -= look.examined;
    if (look.next === null) return unseen;
    from = nextStart(look.next, floors, budget);
    const skippedTo = from ?? Infinity;
    if (skippedTo !== look.next) for (const { shard, floor } of shards) if (floor < skippedTo) unseen.add(shard);
  }
  return unseen;
}

interface Budget extends CountLimits {
  readonly endsAt: number;
  readonly halfTime: number;
  /** Rows that may still be looked at. */
  readonly left: number;
}

/** Where to look next: here, at a higher floor, or nowhere any more. */
function nextStart(here: number, floors: readonly number[], budget: Budget): number | undefined {
  const { rows, step, left, endsAt, halfTime } = budget;
  const now = performance.now();
  if (left <= 0 || now >= endsAt) return undefined;
  const above = floors.filter((floor) => floor > here);
  // Floors that were not reached yet keep a part of what may be looked at, and half of the time.
  const kept = Math.min(above.length * step, rows / 2);
  return above.length === 0 || (left > kept && now < halfTime) ? here : above[0];
}

function add(look: CountLook<unknown>, into: Map<number, Backlog>): void {
  for (const { shard, ...count } of look.counts) {
    const known = into.get(shard) ?? NOTHING;
    into.set(shard, sum(known, { ...count, complete: look.complete }));
  }
}

function sum(one: Backlog, other: Backlog): Backlog {
  return {
    pending: one.pending + other.pending,
    waitingForRetry: one.waitingForRetry + other.waitingForRetry,
    held: one.held + other.held,
    failed: one.failed + other.failed,
    discarded: one.discarded + other.discarded,
    sessionsOnHold: one.sessionsOnHold + other.sessionsOnHold,
    oldestAge: oldest(one.oldestAge, other.oldestAge),
    complete: one.complete && other.complete,
  };
}

function oldest(one: number | null, other: number | null): number | null {
  return one === null || other === null ? (one ?? other) : Math.max(one, other);
}
