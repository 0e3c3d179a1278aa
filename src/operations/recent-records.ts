/** Which events the last records of each partition were of; 16 bytes a record. */
export class RecentRecords {
  readonly #length: number;
  readonly #partitions = new Map<number, { readonly offsets: BigInt64Array; readonly events: BigUint64Array }>();

  /** @param length Records that are remembered of each partition. */
  constructor(length: number) {
    this.#length = length;
  }

  add(partition: number, offset: bigint, eventId: string): void {
    let ring = this.#partitions.get(partition);
    if (ring === undefined) {
      ring = { offsets: new BigInt64Array(this.#length).fill(-1n), events: new BigUint64Array(this.#length) };
      this.#partitions.set(partition, ring);
    }
    const at = Number(offset % BigInt(this.#length));
    ring.offsets[at] = offset;
    ring.events[at] = tagOf(eventId);
  }

  /** Whether the record at this place was of this event; null: it is not remembered. */
  holds(partition: number, offset: bigint, eventId: string): boolean | null {
    const ring = this.#partitions.get(partition);
    const at = Number(offset % BigInt(this.#length));
    return ring === undefined || ring.offsets[at] !== offset ? null : ring.events[at] === tagOf(eventId);
  }
}

/** The random half of an event's id. */
function tagOf(eventId: string): bigint {
  return BigInt(`0x${eventId.slice(19, 23)}${eventId.slice(24)}`);
}
