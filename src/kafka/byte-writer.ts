/** Of any number that is written, at most. */
export const MOST_VARINT_BYTES = 5;

/** Where something begins whose length in bytes is put before it. */
interface Sized {
  readonly at: number;
  /** Bytes that were left for the length. */
  readonly room: number;
}

/** Writes the variable-length fields of records one after the other into one buffer, which grows as it is reserved. */
export class ByteWriter {
  #bytes: Buffer;
  position = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  written(): Buffer {
    return this.#bytes.subarray(0, this.position);
  }

  /** Makes room for so many bytes: nothing below looks whether it fits. */
  reserve(count: number): void {
    const needed = this.position + count;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.position);
    this.#bytes = larger;
  }

  byte(value: number): void {
    this.#bytes[this.position] = value;
    this.position += 1;
  }

  /** Zigzag-encoded. `value` is a whole number from 0 to 2 ** 31 - 1. */
  varint(value: number): void {
    let rest = (value << 1) >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** Its length in bytes, then it as UTF-8; -1 for null. */
  text(text: string | null): void {
    if (text === null) {
      this.byte(1);
      return;
    }
    const start = this.position;
    const room = varintBytes(text.length);
    const length = this.#bytes.write(text, start + room);
    this.#putLength(start, room, length);
  }

  /** What is written until `endSized` has its length before it, which is `likely` or about that. */
  beginSized(likely: number): Sized {
    const sized = { at: this.position, room: varintBytes(likely) };
    this.position += sized.room;
    return sized;
  }

  endSized({ at, room }: Sized): void {
    this.#putLength(at, room, this.position - at - room);
  }

  #putLength(at: number, room: number, length: number): void {
    const needed = varintBytes(length);
    if (needed !== room) this.#bytes.copyWithin(at + needed, at + room, at + room + length);
    this.position = at;
    this.varint(length);
    this.position += length;
  }
}

function varintBytes(value: number): number {
  if (value < 2 ** 6) return 1;
  if (value < 2 ** 13) return 2;
  if (value < 2 ** 20) return 3;
  return value < 2 ** 27 ? 4 : MOST_VARINT_BYTES;
}
