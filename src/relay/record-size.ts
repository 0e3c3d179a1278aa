import type { ClaimedRow } from './ports.ts';

/**
 * Bytes that Kafka's record format (magic 2) may add to the key, value and headers of one record: length, attributes, deltas
 * and the lengths of key, value and header list, each a varint of at most 5 bytes (10 for the timestamp); per header two more.
 * Source: the Kafka documentation, "Message Format", section "Record".
 */
const RECORD_OVERHEAD = 36;
const HEADER_OVERHEAD = 10;

/** An upper bound of what the row takes in its partition's batch, uncompressed, in bytes. */
export function recordBytes(row: Pick<ClaimedRow, 'key' | 'payload' | 'headers'>): number {
  let bytes = RECORD_OVERHEAD + Buffer.byteLength(row.key);
  if (row.payload !== null) bytes += Buffer.byteLength(row.payload);
  for (const name in row.headers)
    bytes += HEADER_OVERHEAD + name.length * 3 + Buffer.byteLength(row.headers[name] ?? '');
  return bytes;
}

/** Names the batch that a row is part of for the broker. */
export function partitionOf(row: Pick<ClaimedRow, 'topic' | 'shard'>): string {
  return `${row.topic}:${row.shard}`;
}
