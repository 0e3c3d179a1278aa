import type { ClaimedRow } from './ports.ts';

/**
 * Bytes that Kafka's record format (magic 2) may add to the key, value and headers of one record: length, attributes, deltas
 * and the lengths of key, value and header list, each a varint of at most 5 bytes (10 for the timestamp); per header two more.
 * Source: the Kafka documentation, "Message Format", section "Record".
 */
const RECORD_OVERHEAD = 36;
const HEADER_OVERHEAD = 10;
/** Bytes of a UTF-16 unit in UTF-8, at most. */
const MOST_UNIT_BYTES = 3;

/** An upper bound of what the row takes in its partition's batch, uncompressed, in bytes. */
export function recordBytes(row: Pick<ClaimedRow, 'key' | 'payload' | 'headers'>): number {
  let bytes = RECORD_OVERHEAD + row.key.length * MOST_UNIT_BYTES;
  if (row.payload !== null) bytes += Buffer.byteLength(row.payload);
  // Headers are short and many: not worth the exact count.
  for (const name in row.headers) {
    bytes += HEADER_OVERHEAD + (name.length + (row.headers[name] ?? '').length) * MOST_UNIT_BYTES;
  }
  return bytes;
}
