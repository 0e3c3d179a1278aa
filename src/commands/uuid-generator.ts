import { randomFillSync } from 'node:crypto';

/** Random bytes are drawn so many at a time: what a call of the generator costs is shared by 400 ids. */
const POOL_BYTES = 4_096;
/** Random bytes of one id: four for the counter when a millisecond begins, and six at its end. */
const RANDOM_BYTES = 10;
const COUNTER_LIMIT = 2 ** 32;
const DIGITS = new TextEncoder().encode('0123456789abcdef');
/** Where each of the 16 bytes stands in the text. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

/**
 * Makes UUIDv7s in lower case, which ascend: within a millisecond a counter of 32 bits goes on from id to id, and while the clock
 * is behind where it once was, ids stay there. Bit for bit as v7() of the package `uuid`, at a tenth of its cost, for that one
 * asks for random bytes, and builds its text from 16 pieces, for each id; a command needs three.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9562#section-6.2 (method 1)
 */
export function createUuidGenerator(): (now?: number) => string {
  const pool = new Uint8Array(POOL_BYTES);
  const bytes = new Uint8Array(16);
  const text = Buffer.alloc(36, '-');
  let used = POOL_BYTES;
  let milliseconds = -1;
  let counter = 0;

  const random = (index: number): number => pool[used + index] ?? 0;

  function begin(now: number, start: number): void {
    milliseconds = now;
    counter = start;
    const high = Math.floor(now / 2 ** 32);
    bytes.set([high >>> 8, high, now >>> 24, now >>> 16, now >>> 8, now]);
  }

  function count(now: number): void {
    // Below the middle, so that there is room to count.
    if (now > milliseconds)
      return begin(now, ((random(0) & 0x7f) << 24) | (random(1) << 16) | (random(2) << 8) | random(3));
    counter += 1;
    if (counter === COUNTER_LIMIT) begin(milliseconds + 1, 0);
  }

  function write(): string {
    for (const [index, byte] of bytes.entries()) {
      const place = PLACES[index] ?? 0;
      text[place] = DIGITS[byte >>> 4] ?? 0;
      text[place + 1] = DIGITS[byte & 0xf] ?? 0;
    }
    return text.toString('latin1');
  }

  return (now = Date.now()) => {
    if (used + RANDOM_BYTES > POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    count(now);
    bytes[6] = 0x70 | (counter >>> 28);
    bytes[7] = counter >>> 20;
    bytes[8] = 0x80 | ((counter >>> 14) & 0x3f);
    bytes[9] = counter >>> 6;
    bytes[10] = (counter << 2) | (random(4) & 0x03);
    for (let index = 5; index < RANDOM_BYTES; index += 1) bytes[index + 6] = random(index);
    used += RANDOM_BYTES;
    return write();
  };
}
