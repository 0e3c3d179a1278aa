import { hash } from 'node:crypto';
import type { SessionId } from '../genesis/ids.ts';
import type { RecordIdentity } from './read-record.ts';
import type { TopicRecord } from './ports.ts';

/** What is kept of a record to compare it with its event. */
export interface RecordEntry extends RecordIdentity {
  readonly partition: number;
  readonly offset: bigint;
  /** See `digest`; null: the record has no value. */
  readonly digest: bigint | null;
}

/** 64 bits by which the bytes of a value are recognised. */
export function digest(value: string): bigint {
  return hash('sha256', value, 'buffer').readBigUInt64LE(0);
}

export function entryOf({ partition, offset, value }: TopicRecord, identity: RecordIdentity): RecordEntry {
  return { ...identity, partition, offset, digest: value === null ? null : digest(value) };
}

/** Words of 32 bits in an encoded entry: 80 bytes. The first eight are the order: session, sequence, partition, offset. */
export const ENTRY_WORDS = 20;
export const ENTRY_BYTES = ENTRY_WORDS * 4;
const ORDER_WORDS = 8;

const SEQUENCE = 4;
const PARTITION = 5;
const OFFSET = 6;
const EVENT = 8;
const DIGEST = 12;
const PREVIOUS = 14;
const FLAGS = 18;

const MARKER = 1;
const HAS_VALUE = 2;
const HAS_PREVIOUS = 4;

/** Writes an entry into `words` at `at`. */
export function encodeEntry(entry: RecordEntry, words: Uint32Array, at: number): void {
  encodeUuid(entry.sessionId, words, at);
  words[at + SEQUENCE] = entry.sequence;
  words[at + PARTITION] = entry.partition;
  encode64(entry.offset, words, at + OFFSET);
  encodeUuid(entry.eventId, words, at + EVENT);
  encode64(entry.digest ?? 0n, words, at + DIGEST);
  if (entry.previous !== null) encodeUuid(entry.previous, words, at + PREVIOUS);
  words[at + FLAGS] =
    (entry.marker ? MARKER : 0) |
    (entry.digest === null ? 0 : HAS_VALUE) |
    (entry.previous === null ? 0 : HAS_PREVIOUS);
}

export function decodeEntry(words: Uint32Array, at: number): RecordEntry {
  const flags = words[at + FLAGS] ?? 0;
  return {
    sessionId: decodeUuid(words, at) as SessionId,
    sequence: words[at + SEQUENCE] ?? 0,
    partition: words[at + PARTITION] ?? 0,
    offset: decode64(words, at + OFFSET),
    eventId: decodeUuid(words, at + EVENT),
    digest: (flags & HAS_VALUE) === 0 ? null : decode64(words, at + DIGEST),
    previous: (flags & HAS_PREVIOUS) === 0 ? null : decodeUuid(words, at + PREVIOUS),
    marker: (flags & MARKER) !== 0,
  };
}

/** The order of two encoded entries, negative: the first comes first. */
export function compareEntries(a: Uint32Array, atA: number, b: Uint32Array, atB: number): number {
  for (let word = 0; word < ORDER_WORDS; word += 1) {
    const difference = (a[atA + word] ?? 0) - (b[atB + word] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function encodeUuid(uuid: string, words: Uint32Array, at: number): void {
  words[at] = Number.parseInt(uuid.slice(0, 8), 16);
  words[at + 1] = Number.parseInt(uuid.slice(9, 13) + uuid.slice(14, 18), 16);
  words[at + 2] = Number.parseInt(uuid.slice(19, 23) + uuid.slice(24, 28), 16);
  words[at + 3] = Number.parseInt(uuid.slice(28, 36), 16);
}

/** 16 bits in hex. */
const HEX = Array.from({ length: 0x1_0000 }, (_, number) => number.toString(16).padStart(4, '0'));

function decodeUuid(words: Uint32Array, at: number): string {
  const [a = 0, b = 0, c = 0, d = 0] = [words[at], words[at + 1], words[at + 2], words[at + 3]];
  return `${high(a)}${low(a)}-${high(b)}-${low(b)}-${high(c)}-${low(c)}${high(d)}${low(d)}`;
}

function high(word: number): string {
  return HEX[word >>> 16] ?? '';
}

function low(word: number): string {
  return HEX[word & 0xffff] ?? '';
}

function encode64(value: bigint, words: Uint32Array, at: number): void {
  words[at] = Number(value >> 32n);
  words[at + 1] = Number(value & 0xffff_ffffn);
}

function decode64(words: Uint32Array, at: number): bigint {
  return (BigInt(words[at] ?? 0) << 32n) | BigInt(words[at + 1] ?? 0);
}
