import type { Pool } from 'pg';

/** One second of a run. */
export interface Second {
  /** From 0. */
  readonly second: number;
  /** Events whose transactions began in it. */
  readonly committed: number;
  /** Events that were marked SENT in it: acknowledged by then. */
  readonly sent: number;
  /** Events that are not marked at its end. */
  readonly backlog: number;
  /** Milliseconds from the beginning of the command's transaction until its event was marked, of the events marked in it. */
  readonly lagP50: number;
  readonly lagP99: number;
}

interface Count {
  readonly second: number;
  readonly count: number;
}

interface Lag extends Count {
  readonly p50: number;
  readonly p99: number;
}

const COMMITTED = `
  SELECT floor(extract(epoch FROM created_at) - $1::float8)::int AS second, count(*)::int AS count
  FROM event_outbox WHERE created_at >= to_timestamp($1::float8) GROUP BY 1`;
const SENT = `
  SELECT floor(extract(epoch FROM sent_at) - $1::float8)::int AS second, count(*)::int AS count,
         1000 * percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created_at)::float8) AS p50,
         1000 * percentile_disc(0.99) WITHIN GROUP (ORDER BY extract(epoch FROM sent_at - created_at)::float8) AS p99
  FROM event_outbox WHERE created_at >= to_timestamp($1::float8) AND sent_at IS NOT NULL GROUP BY 1`;

/**
 * What the rows themselves tell when all is over: nothing is asked of the server while it is measured. Every row says when its
 * transaction began (a little before its commit) and when it was marked (a little after the acknowledgement), so that backlog and
 * lag are rather too high than too low.
 *
 * @param beganAt Milliseconds since the epoch; nothing was pending then. The server's clock is this machine's.
 */
export async function readTimeline(database: Pool, beganAt: number): Promise<readonly Second[]> {
  const began = [beganAt / 1_000];
  const committed = (await database.query<Count>(COMMITTED, began)).rows;
  const sent = (await database.query<Lag>(SENT, began)).rows;
  return timelineOf(committed, sent);
}

/** Each second up to the last in which something happened. */
export function timelineOf(committed: readonly Count[], sent: readonly Lag[]): readonly Second[] {
  const commits = new Map(committed.map((count) => [count.second, count.count]));
  const marks = new Map(sent.map((lag) => [lag.second, lag]));
  const seconds = Math.max(-1, ...commits.keys(), ...marks.keys()) + 1;
  let backlog = 0;
  return Array.from({ length: seconds }, (_, second) => {
    const mark = marks.get(second);
    const [came, went] = [commits.get(second) ?? 0, mark?.count ?? 0];
    backlog += came - went;
    return { second, committed: came, sent: went, backlog, lagP50: mark?.p50 ?? 0, lagP99: mark?.p99 ?? 0 };
  });
}
