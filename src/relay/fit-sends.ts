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
  let bytes = RECORD_OVERHEAD + Buffer.byteLength(row.key) + Buffer.byteLength(row.payload);
  for (const [name, value] of Object.entries(row.headers)) {
    bytes += HEADER_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes;
}

/** Names the batch that a row is part of for the broker. */
export function partitionOf(row: Pick<ClaimedRow, 'topic' | 'shard'>): string {
  return `${row.topic}:${row.shard}`;
}

/**
 * Cuts rows, in order, into sends in which no partition's batch exceeds `maxPartitionBytes`; a row that alone is larger goes
 * by itself as far as its partition is concerned, for the broker to judge.
 */
export function fitSends(rows: readonly ClaimedRow[], maxPartitionBytes: number): ClaimedRow[][] {
  const sends: ClaimedRow[][] = [];
  let current: ClaimedRow[] = [];
  let filled = new Map<string, number>();
  for (const row of rows) {
    const partition = partitionOf(row);
    const bytes = recordBytes(row);
    const before = filled.get(partition);
    if (before !== undefined && before + bytes > maxPartitionBytes) {
      sends.push(current);
      current = [];
      filled = new Map();
    }
    current.push(row);
    filled.set(partition, (filled.get(partition) ?? 0) + bytes);
  }
  if (current.length > 0) sends.push(current);
  return sends;
}
