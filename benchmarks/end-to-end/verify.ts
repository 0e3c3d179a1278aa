import { readFileSync } from 'node:fs';
import type { Pool } from 'pg';
import { FindingList } from '../../src/cli/stream-report.ts';
import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { reconcile } from '../../src/operations/reconcile.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { createReconcileStore } from '../../src/postgres/operations-reconcile.ts';
import { PARTITIONS } from '../servers.ts';

export interface Verdict {
  /** Commands that clients were told are accepted. */
  readonly answered: number;
  /** Of these, those without a row in command_inbox. */
  readonly withoutRow: number;
  /** Of these, those without an event whose outbox row is SENT. */
  readonly withoutEvent: number;
  /** Commands that were committed, and whose answers nobody waited for any more. */
  readonly unanswered: number;
  /** Records of the topic, and what `reconcile` finds between them and the events. */
  readonly records: number;
  readonly events: number;
  readonly differences: number;
  readonly findings: object;
}

/** Commands that were sent in several loads. */
export interface Sent {
  /** A line for each accepted command: its id. */
  readonly answersFile: string;
  /** So many were accepted, as the load generator counted. */
  readonly accepted: number;
  /** So many may have been on their way when a load ended, in all. */
  readonly underway: number;
}

/** Ids of one statement. */
const STEP = 20_000;

const JUDGE = `
  SELECT count(*)::int AS answered,
         count(*) FILTER (WHERE c.id IS NULL)::int AS "withoutRow",
         count(*) FILTER (WHERE c.id IS NOT NULL AND NOT EXISTS (
           SELECT FROM event_outbox AS o WHERE o.key = c.session_id AND o.sequence = c.last_version AND o.status = 'SENT'))::int
           AS "withoutEvent"
  FROM unnest($1::uuid[]) AS answered (id) LEFT JOIN command_inbox AS c USING (id)`;

/**
 * Looks for each answered command, its event, and that event's record: `reconcile` proves of every event that is SENT that the
 * topic holds it, once, in order and with its bytes, and of every record that it is an event's.
 *
 * @throws Error when the load generator did not name each accepted command, or more commands are there than it can have sent
 */
export async function verifyRun(database: Pool, kafka: KafkaConfig, sent: Sent): Promise<Verdict> {
  const { answersFile, accepted, underway } = sent;
  const ids = new Set(readFileSync(answersFile, 'utf8').split('\n'));
  ids.delete('');
  if (ids.size !== accepted) throw new Error(`${accepted} commands were accepted, ${ids.size} ids were told`);
  const { withoutRow, withoutEvent } = await lookFor(database, [...ids]);
  const unanswered = (await countCommands(database)) - (ids.size - withoutRow);
  if (unanswered > underway) throw new Error(`${unanswered} commands were committed and never answered`);
  const findings = new FindingList(3);
  const topic = new CommittedRecords(kafka, { clientId: 'bench-reconcile' });
  try {
    const { records, events } = await reconcile({
      store: createReconcileStore(database),
      topic,
      only: null,
      partitionOf: (sessionId) => shardOf(sessionId, PARTITIONS),
      onFinding: (finding) => findings.add(finding),
      onProgress: () => {},
    });
    return {
      ...{ answered: ids.size, withoutRow, withoutEvent, unanswered, records, events },
      differences: findings.total,
      findings: findings.json(),
    };
  } finally {
    await topic.close();
  }
}

async function lookFor(database: Pool, ids: readonly string[]) {
  const sum = { withoutRow: 0, withoutEvent: 0 };
  for (let at = 0; at < ids.length; at += STEP) {
    const { rows } = await database.query<typeof sum>(JUDGE, [ids.slice(at, at + STEP)]);
    sum.withoutRow += rows[0]?.withoutRow ?? 0;
    sum.withoutEvent += rows[0]?.withoutEvent ?? 0;
  }
  return sum;
}

async function countCommands(database: Pool): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM command_inbox WHERE command_type = 'SubmitFeedback'`,
  );
  return rows[0]?.count ?? 0;
}
