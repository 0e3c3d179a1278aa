import type { Read } from './read.ts';

/** What the tables tell of the programs that ran on them before. */
export interface EarlierRuns {
  /** The topic of the newest outbox row; null: there is none. */
  readonly newestTopic: string | null;
  /** Whether the last relays delivered exactly once, as far as it is known: members stay until the next one joins. */
  readonly exactlyOnce: boolean;
}

const READ_EARLIER_RUNS = {
  name: 'read-earlier-runs',
  text: `SELECT (SELECT topic FROM event_outbox ORDER BY id DESC LIMIT 1) AS "newestTopic",
    EXISTS (SELECT FROM relay_members WHERE delivery = 'exactly-once')
      OR EXISTS (SELECT FROM relay_shards WHERE transactional_ids <> '{}') AS "exactlyOnce"`,
};

/** @throws GenesisError UNAVAILABLE; the driver's error on a database of an earlier version */
export async function readEarlierRuns(read: Read): Promise<EarlierRuns> {
  const [row] = await read<EarlierRuns>(READ_EARLIER_RUNS, []);
  return row ?? { newestTopic: null, exactlyOnce: false };
}
