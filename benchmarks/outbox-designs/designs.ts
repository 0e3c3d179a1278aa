import { readFileSync } from 'node:fs';

/** A way to drain the outbox: what it changes of the migrated tables, and its two statements. */
export interface Design {
  readonly name: string;
  /** Applied to the empty tables. */
  readonly ddl: string;
  /** $1: lowest id, $2: most rows. Gives the rows with their ids. */
  readonly claim: string;
  /** $1: ids. */
  readonly mark: string;
}

const source = (name: string): string =>
  readFileSync(new URL(`../../src/postgres/sql/outbox/${name}.sql`, import.meta.url), 'utf8');

const COLUMNS = 'id::float8 AS id, event_id, topic, key, shard, sequence, payload, headers, retry_count, max_retries';

/** The statements of the relay, with what does not vary here written in. */
const OUR_CLAIM = source('claim')
  .replaceAll('$3', '$1::bigint')
  .replaceAll('$4', '$2::bigint + 0')
  .replaceAll('owner = $1 AND', 'owner = 1 AND')
  .replaceAll('$2::integer[]', "'{0,1,2,3,4,5,6,7}'::integer[]")
  .replaceAll('$5', '16777216')
  .replaceAll('$6', "'{}'")
  .replaceAll('$7', "'{}'");
const AT = 'array_fill(0, ARRAY[cardinality($1::bigint[])])';
const marking = (name: string): string => source(name).replaceAll('$2', AT).replaceAll('$3', AT);

const heapOnly = (fillfactor: number, mark = 'mark-sent'): Design => ({
  name: `heap-only marks, fillfactor ${fillfactor}${mark === 'mark-sent' ? '' : ', each row locked first'}`,
  ddl: `ALTER TABLE event_outbox SET (fillfactor = ${fillfactor})`,
  claim: OUR_CLAIM,
  mark: marking(mark),
});

export const DESIGNS: readonly Design[] = [
  {
    name: 'partial index on PENDING',
    ddl: `ALTER TABLE event_outbox SET (fillfactor = 100);
          ALTER TABLE event_outbox DROP CONSTRAINT event_outbox_key_sequence_key;
          ALTER TABLE event_outbox ADD UNIQUE (event_id);
          CREATE INDEX event_outbox_pending ON event_outbox (id) WHERE status = 'PENDING';
          CREATE INDEX event_outbox_blocking ON event_outbox (key, id)
            WHERE status = 'FAILED' OR (status = 'PENDING' AND retry_count > 0)`,
    claim: `SELECT ${COLUMNS} FROM event_outbox AS pending
            WHERE status = 'PENDING' AND $1::bigint > 0 AND NOT EXISTS (
              SELECT FROM event_outbox AS earlier
              WHERE earlier.key = pending.key AND earlier.id < pending.id
                AND (earlier.status = 'FAILED' OR (earlier.status = 'PENDING' AND earlier.retry_count > 0)) OFFSET 0)
            ORDER BY pending.id LIMIT $2`,
    mark: marking('mark-free'),
  },
  heapOnly(100),
  heapOnly(70),
  heapOnly(50),
  heapOnly(50, 'mark-free'),
  {
    name: 'delete',
    ddl: 'ALTER TABLE event_outbox SET (fillfactor = 100); DROP TRIGGER event_outbox_delete ON event_outbox',
    claim: `SELECT ${COLUMNS} FROM event_outbox WHERE id >= $1 ORDER BY event_outbox.id LIMIT $2`,
    mark: 'DELETE FROM event_outbox WHERE id = ANY ($1::bigint[])',
  },
  {
    name: 'progress row only',
    ddl: `ALTER TABLE event_outbox SET (fillfactor = 100);
          CREATE TABLE progress (shard integer PRIMARY KEY, id bigint NOT NULL) WITH (fillfactor = 10);
          INSERT INTO progress VALUES (0, 0)`,
    claim: `SELECT ${COLUMNS} FROM event_outbox WHERE id >= $1 ORDER BY event_outbox.id LIMIT $2`,
    mark: 'UPDATE progress SET id = ($1::bigint[])[cardinality($1::bigint[])]',
  },
];
