import type { Read } from './read.ts';

/** What the tables tell of the programs that ran on them before. */
export interface EarlierRuns {
  /** The topic of the newest outbox row; null: there is none. */
  readonly newestTopic: string | null;
  /** The topic of the newest row that was published, of the last 10,000 rows; null: none of them was. */
  readonly publishedTopic: string | null;
  /** Whether anything was ever published, to whatever topic: positions in relay_shards outlive the rows. */
  readonly published: boolean;
  /** Whether the last relays delivered exactly once, as far as it is known: members stay until the next one joins. */
  readonly exactlyOnce: boolean;
}

const READ_EARLIER_RUNS = {
  name: 'read-earlier-runs',
  text: `SELECT (SELECT topic FROM event_outbox ORDER BY id DESC LIMIT 1) AS "newestTopic",
    (SELECT topic FROM (SELECT id, topic, partition FROM event_outbox ORDER BY id DESC LIMIT 10000) AS newest
     WHERE partition IS NOT NULL ORDER BY id DESC LIMIT 1) AS "publishedTopic",
    EXISTS (SELECT FROM relay_shards WHERE position > 0) AS "published",
    EXISTS (SELECT FROM relay_members WHERE delivery = 'exactly-once')
      OR EXISTS (SELECT FROM relay_shards WHERE transactional_ids <> '{}') AS "exactlyOnce"`,
};

/** @throws GenesisError UNAVAILABLE; the driver's error on a database of an earlier version */
export async function readEarlierRuns(read: Read): Promise<EarlierRuns> {
  const [row] = await read<EarlierRuns>(READ_EARLIER_RUNS, []);
  return row ?? { newestTopic: null, publishedTopic: null, published: false, exactlyOnce: false };
}

/**
 * Whether events were published to this topic: then it was lost if it is missing. Where the clean-up has removed the rows that would
 * tell, it counts as published to, unless the newest row is for another.
 */
export function wasPublishedTo(
  topic: string,
  { newestTopic, publishedTopic, published }: Omit<EarlierRuns, 'exactlyOnce'>,
): boolean {
  if (publishedTopic !== null) return publishedTopic === topic;
  return published && (newestTopic === null || newestTopic === topic);
}
