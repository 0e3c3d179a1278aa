import { randomUUID } from 'node:crypto';
import { Producer, stringSerializers } from '@platformatic/kafka';
import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import type { RecordHeaders } from '../../src/outbox/outbox-row.ts';
import { AuditRig } from '../events/audit-rig.ts';
import { createTestDatabase } from '../support/database.ts';

const PARTITIONS = 8;
const TABLES = ['command_inbox', 'domain_events', 'event_outbox', 'genesis_sessions'] as const;

/** A record to be written, wherever the test wants it. */
export interface PlainRecord {
  readonly key: string;
  readonly partition: number;
  readonly value: string | null;
  readonly headers: RecordHeaders;
}

/** A row of the outbox as far as a plain producer needs it. */
export interface UnsentRow extends PlainRecord {
  readonly id: number;
  readonly sequence: number;
  readonly eventId: string;
}

export interface WrittenRecord extends PlainRecord {
  readonly offset: bigint;
}

/** Commands and a topic of their own. A plain producer plays the relay, or does what no relay would. */
export class TopicRig extends AuditRig {
  readonly kafka: KafkaConfig;
  readonly log: CommittedRecords;
  readonly #producer: Producer<string, string, string, string>;

  constructor(database: ConstructorParameters<typeof AuditRig>[0], kafka: KafkaConfig) {
    super(database, kafka.topic);
    this.kafka = kafka;
    this.log = new CommittedRecords(kafka);
    const { brokers } = kafka;
    this.#producer = new Producer({ clientId: 'test', bootstrapBrokers: [...brokers], serializers: stringSerializers });
  }

  /** Writes records in this order. */
  async write(records: readonly PlainRecord[], topic = this.kafka.topic): Promise<readonly WrittenRecord[]> {
    const written: WrittenRecord[] = [];
    for (const record of records) {
      const { key, partition, value, headers } = record;
      const message = { topic, key, partition, headers: { ...headers }, ...(value === null ? {} : { value }) };
      const { offsets } = await this.#producer.send({ messages: [message], acks: -1 });
      written.push({ ...record, offset: offsets?.[0]?.offset ?? -1n });
    }
    return written;
  }

  /** The rows that are PENDING, in id order. */
  async unsent(): Promise<readonly UnsentRow[]> {
    const text = `SELECT id::float8 AS id, key, shard AS partition, payload AS value, headers, sequence, event_id AS "eventId"
      FROM event_outbox WHERE status = 'PENDING' ORDER BY event_outbox.id`;
    return (await this.pool.query<UnsentRow>(text)).rows;
  }

  /** Says that a row was sent, and where its record is. */
  async mark(id: number, { partition, offset }: Pick<WrittenRecord, 'partition' | 'offset'>): Promise<void> {
    await this.pool.query(
      `UPDATE event_outbox SET status = 'SENT', sent_at = clock_timestamp(), partition = $2, "offset" = $3 WHERE id = $1`,
      [id, partition, String(offset)],
    );
  }

  /** What a relay does: sends every PENDING row in order, and marks it. */
  async publish(): Promise<readonly WrittenRecord[]> {
    const rows = await this.unsent();
    const written = await this.write(rows);
    for (const [index, record] of written.entries()) await this.mark(rows[index]?.id ?? 0, record);
    return written;
  }

  /** Everything in the topic. */
  async records(): Promise<readonly WrittenRecord[]> {
    const records: WrittenRecord[] = [];
    for (const { partition, end } of await this.log.ranges()) {
      for await (const some of this.log.read(partition, 0n, end)) {
        for (const { key, offset, value, headers } of some) {
          records.push({ key: key ?? '', partition, offset, value, headers: Object.fromEntries(headers) });
        }
      }
    }
    return records;
  }

  /** Keeps the tables as they are now, for `restore`. */
  async backup(): Promise<void> {
    for (const table of TABLES) await this.pool.query(`CREATE TABLE backup_${table} AS SELECT * FROM ${table}`);
  }

  /** The tables are as they were at the backup: later transactions never happened. */
  async restore(): Promise<void> {
    for (const table of TABLES) {
      await this.tamper(`DELETE FROM ${table}`, []);
      await this.tamper(`INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM backup_${table}`, []);
    }
  }

  /** Every row of a table as JSON text, in this order. */
  async rowsOf(columns: string, table: string, order: string): Promise<readonly string[]> {
    const text = `SELECT to_json(t)::text AS row FROM (SELECT ${columns} FROM ${table} ORDER BY ${order}) AS t`;
    return (await this.pool.query<{ row: string }>(text)).rows.map(({ row }) => row);
  }

  override async stop(): Promise<void> {
    await this.#producer.close(true);
    await this.log.close();
    await super.stop();
  }
}

export async function startTopicRig(brokers: readonly string[]): Promise<TopicRig> {
  const kafka = { brokers, topic: `operations-test-${randomUUID()}` };
  await ensureTopic(kafka, { partitions: PARTITIONS, replicationFactor: 1, minInsyncReplicas: 1 });
  const rig = new TopicRig(await createTestDatabase(), kafka);
  await rig.commands.start();
  return rig;
}
