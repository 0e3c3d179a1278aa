import { crc32c, Writer } from '@platformatic/kafka';
import type { OutgoingRecord } from '../relay/ports.ts';
import { ByteWriter, MOST_VARINT_BYTES } from './byte-writer.ts';

/** What is written of a record; the rest of it says where to. */
export type EncodableRecord = Pick<OutgoingRecord, 'key' | 'payload' | 'headers'>;

/** What a batch says about its producer. */
export interface BatchHead {
  /** Of all records of the batch, in milliseconds since the epoch. */
  readonly timestamp: bigint;
  /** -1 when the producer is not idempotent. */
  readonly producerId: bigint;
  readonly producerEpoch: number;
  /** The sequence number of the first record, in its partition. */
  readonly firstSequence: number;
  readonly transactional: boolean;
}

/** Where the fields of a batch begin, in bytes. The length counts from what follows it, the checksum covers what follows it. */
const AT = { length: 8, magic: 16, crc: 17, attributes: 21, lastOffsetDelta: 23, firstTimestamp: 27 } as const;
const AT_MAX_TIMESTAMP = 35;
const AT_PRODUCER_ID = 43;
const AT_PRODUCER_EPOCH = 51;
const AT_FIRST_SEQUENCE = 53;
const AT_COUNT = 57;
const AT_RECORDS = 61;
const BEFORE_LENGTH = 12;

const MAGIC = 2;
const TRANSACTIONAL = 1 << 4;

/** Bytes of a UTF-16 unit in UTF-8, at most. */
const MOST_UNIT_BYTES = 3;
/** Numbers of a record besides the lengths of its headers' texts: three lengths, two deltas, attributes, the headers' count. */
const NUMBERS = 7;

/**
 * A batch of records as it lies in the log. Source: "Apache Kafka: Message Format", record batch, magic 2. The client has an
 * encoder of its own; this one takes a small part of its time, because it writes text straight to its place in one buffer.
 * The texts must be well-formed and the records at least one: `encodingFault` sees to that.
 */
export function encodeBatch(records: readonly EncodableRecord[], head: BatchHead): Buffer {
  const writer = new ByteWriter(AT_RECORDS + records.length * likelyBytes(records[0]));
  writer.position = AT_RECORDS;
  for (const [index, record] of records.entries()) writeRecord(writer, record, index);
  const bytes = writer.written();
  bytes.writeBigInt64BE(0n, 0);
  bytes.writeInt32BE(bytes.length - BEFORE_LENGTH, AT.length);
  // The epoch of the partition's leader: the broker's to fill in.
  bytes.writeInt32BE(0, BEFORE_LENGTH);
  bytes.writeInt8(MAGIC, AT.magic);
  bytes.writeInt16BE(head.transactional ? TRANSACTIONAL : 0, AT.attributes);
  bytes.writeInt32BE(records.length - 1, AT.lastOffsetDelta);
  bytes.writeBigInt64BE(head.timestamp, AT.firstTimestamp);
  bytes.writeBigInt64BE(head.timestamp, AT_MAX_TIMESTAMP);
  bytes.writeBigInt64BE(head.producerId, AT_PRODUCER_ID);
  bytes.writeInt16BE(head.producerEpoch, AT_PRODUCER_EPOCH);
  bytes.writeInt32BE(head.firstSequence, AT_FIRST_SEQUENCE);
  bytes.writeInt32BE(records.length, AT_COUNT);
  bytes.writeUInt32BE(checksum(bytes.subarray(AT.attributes)), AT.crc);
  return bytes;
}

/** The client's function copies a plain Buffer before it begins. */
function checksum(bytes: Buffer): number {
  return crc32c(Writer.create().append(bytes).dynamicBuffer);
}

/** Of each of records that are about as long as this one, with some room. */
function likelyBytes(record: EncodableRecord | undefined): number {
  return record === undefined ? 0 : Math.ceil(1.25 * (unitsOf(record, Object.keys(record.headers)) + 64));
}

function unitsOf({ key, payload, headers }: EncodableRecord, names: readonly string[]): number {
  let units = key.length + (payload?.length ?? 0);
  for (const name of names) units += name.length + (headers[name] ?? '').length;
  return units;
}

function writeRecord(writer: ByteWriter, record: EncodableRecord, index: number): void {
  const { key, payload, headers } = record;
  const names = Object.keys(headers);
  const units = unitsOf(record, names);
  const numbers = NUMBERS + 2 * names.length;
  writer.reserve(units * MOST_UNIT_BYTES + numbers * MOST_VARINT_BYTES);
  // Most texts are ASCII and most numbers small.
  const start = writer.beginSized(units + numbers);
  writer.byte(0);
  // After the batch's timestamp.
  writer.varint(0);
  writer.varint(index);
  writer.text(key);
  writer.text(payload);
  writer.varint(names.length);
  for (const name of names) {
    writer.text(name);
    writer.text(headers[name] ?? '');
  }
  writer.endSized(start);
}
