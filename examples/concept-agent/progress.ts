/** A place in a partition: every record before `offset` is dealt with. */
export interface Position {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

interface Partition {
  readonly topic: string;
  readonly partition: number;
  /** Records that are being worked on. A record that was read twice is here twice. */
  readonly open: Set<{ readonly offset: bigint }>;
  /** One more than the highest offset that was read. */
  end: bigint;
  /** What the group knows already. */
  committed: bigint;
}

/**
 * How far each partition may be committed while its records are worked on side by side and finish in any order: up to the first
 * one that is not finished. A crash then repeats records; it never skips one.
 */
export class Progress {
  readonly #partitions = new Map<string, Partition>();

  /** Notes that a record is worked on. Call what it returns once the record is dealt with, and never otherwise. */
  begin(topic: string, partition: number, offset: bigint): () => void {
    const name = `${topic}:${partition}`;
    const known = this.#partitions.get(name) ?? { topic, partition, open: new Set(), end: 0n, committed: -1n };
    this.#partitions.set(name, known);
    const record = { offset };
    known.open.add(record);
    if (offset >= known.end) known.end = offset + 1n;
    return () => known.open.delete(record);
  }

  /**
   * What is worth committing.
   * @param owns Partitions of others are left out: to commit for them could set their new owner back.
   */
  due(owns: (topic: string, partition: number) => boolean): readonly Position[] {
    return [...this.#partitions.values()].flatMap((known) => {
      const { topic, partition, committed } = known;
      const offset = reached(known);
      return offset > committed && owns(topic, partition) ? [{ topic, partition, offset }] : [];
    });
  }

  /** Notes that the group knows these positions. */
  committed(positions: readonly Position[]): void {
    for (const { topic, partition, offset } of positions) {
      const known = this.#partitions.get(`${topic}:${partition}`);
      if (known !== undefined && known.committed < offset) known.committed = offset;
    }
  }
}

function reached({ open, end }: Partition): bigint {
  let first = end;
  for (const { offset } of open) if (offset < first) first = offset;
  return first;
}
