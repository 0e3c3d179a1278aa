import { Consumer, FetchIsolationLevels } from '@platformatic/kafka';
import pg from 'pg';
import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { until } from '../until.ts';
import type { Evidence } from './evidence.ts';

/** Rows of one step: what is in memory at a time. */
const STEP = 5_000;

interface Dump {
  readonly name: string;
  readonly query: string;
  readonly add: (evidence: Evidence, row: Readonly<Record<string, unknown>>) => void;
}

const DUMPS: readonly Dump[] = [
  {
    name: 'inbox',
    query: 'SELECT id, session_id, first_version, last_version FROM command_inbox',
    add: (evidence, row) =>
      evidence.addInbox({
        commandId: String(row['id']),
        sessionId: String(row['session_id']),
        firstVersion: Number(row['first_version']),
        lastVersion: Number(row['last_version']),
      }),
  },
  {
    name: 'events',
    query: 'SELECT event_id, aggregate_id, aggregate_version FROM domain_events',
    add: (evidence, row) =>
      evidence.addEvent({
        eventId: String(row['event_id']),
        sessionId: String(row['aggregate_id']),
        version: Number(row['aggregate_version']),
      }),
  },
  {
    name: 'outbox',
    query: `SELECT id, event_id, key, sequence, shard, status, payload, headers, sent_at IS NOT NULL AS sent, partition, "offset"
            FROM event_outbox`,
    add: (evidence, row) =>
      evidence.addOutbox({
        id: Number(row['id']),
        eventId: String(row['event_id']),
        key: String(row['key']),
        sequence: Number(row['sequence']),
        shard: Number(row['shard']),
        status: String(row['status']),
        payload: String(row['payload']),
        headers: row['headers'] as Record<string, string>,
        sent: row['sent'] === true,
        partition: numberOrNull(row['partition']),
        offset: numberOrNull(row['offset']),
      }),
  },
];

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value);
}

/** All rows, at one moment, by a cursor. */
export async function collectTables(evidence: Evidence, databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    for (const { name, query, add } of DUMPS) {
      await client.query(`DECLARE ${name}_dump NO SCROLL CURSOR FOR ${query}`);
      for (;;) {
        const { rows } = await client.query<Record<string, unknown>>(`FETCH ${STEP} FROM ${name}_dump`);
        if (rows.length === 0) break;
        for (const row of rows) add(evidence, row);
      }
    }
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
}

/** How long a transaction of a run that is over may hold read_committed readers up, in milliseconds. */
const SETTLING = 15_000;

/**
 * Every committed record of the topic.
 * @returns whether a transaction stayed open: then not all of it could be read
 */
export async function collectTopic(evidence: Evidence, kafka: KafkaConfig): Promise<boolean> {
  const reader = new CommittedRecords(kafka, { clientId: 'faults-judge', patience: 30_000 });
  try {
    const settled = await untilSettled(reader, kafka).then(
      () => true,
      () => false,
    );
    for (const { partition, first, end } of await reader.ranges()) {
      for await (const records of reader.read(partition, first, end)) {
        for (const { offset, key, value, headers } of records) {
          evidence.addRecord({ partition, offset: Number(offset), key, value, headers });
        }
      }
    }
    return !settled;
  } finally {
    await reader.close();
  }
}

/** Resolves once committed records end where all records end. */
async function untilSettled(reader: CommittedRecords, kafka: KafkaConfig): Promise<void> {
  const admin = new Consumer({
    clientId: 'faults-ends',
    // Never joined.
    groupId: 'faults-ends',
    bootstrapBrokers: [...kafka.brokers],
    // The client's default is the other one.
    isolationLevel: FetchIsolationLevels.READ_UNCOMMITTED,
  });
  try {
    await until(
      'the end of all transactions',
      async () => {
        const ends = (await admin.listOffsets({ topics: [kafka.topic] })).get(kafka.topic) ?? [];
        return (await reader.ranges()).every(({ partition, end }) => ends[partition] === end);
      },
      { within: SETTLING },
    );
  } finally {
    await admin.close();
  }
}
