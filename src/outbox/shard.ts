/**
 * The partition of a key, by Kafka's own default partitioner, so that a record lands where any other producer would put it:
 * toPositive(murmur2(key)) mod partitions.
 *
 * @param key The record key, as UTF-8.
 * @param shards Number of partitions, at least 1.
 * @see org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey
 */
export function shardOf(key: string, shards: number): number {
  if (!Number.isInteger(shards) || shards < 1)
    throw new RangeError(`shards must be a whole number from 1, not ${shards}`);
  return (murmur2(Buffer.from(key)) & 0x7fffffff) % shards;
}

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** MurmurHash2, 32 bit, with Kafka's seed. Returns a signed integer as Java does. */
export function murmur2(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let hash = SEED ^ data.length;
  const whole = data.length & ~3;
  for (let at = 0; at < whole; at += 4) {
    let k = Math.imul(view.getInt32(at, true), M);
    k ^= k >>> R;
    hash = Math.imul(hash, M) ^ Math.imul(k, M);
  }
  const rest = data.subarray(whole);
  if (rest.length > 0) {
    for (const [index, byte] of rest.entries()) hash ^= byte << (8 * index);
    hash = Math.imul(hash, M);
  }
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}
