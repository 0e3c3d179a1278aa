import { recordBytes } from './record-size.ts';
import type { ClaimedRow } from './ports.ts';

/** What one send may carry. */
export interface SendBounds {
  /** Most bytes of one partition. */
  readonly partitionBytes: number;
  /** Most rows of a shard. Less than the batch when one of them was refused and is looked for. */
  readonly rowsOf: (shard: number) => number;
  /** Whether the row goes by itself as far as its partition is concerned: it was refused, or is likely to be the one that was. */
  readonly alone: (row: ClaimedRow) => boolean;
  /** The send is a transaction, a refusal concerns all of it: what may be refused goes by itself altogether. */
  readonly apart: boolean;
}

interface Filled {
  bytes: number;
  rows: number;
  full: boolean;
}

/** Rows that were claimed and not sent yet. Each partition's rows stay in their order. */
export class RowQueue {
  #rows: ClaimedRow[] = [];

  get rows(): readonly ClaimedRow[] {
    return this.#rows;
  }

  /** Rows wait, and all of them are of sessions on hold: who was claimed later need not wait for them. */
  get onlyHeld(): boolean {
    return this.#rows.length > 0 && this.#rows.every(({ held }) => held);
  }

  /** Adds rows in front of those that wait, but for rows of their sessions: these stay behind them. */
  add(rows: readonly ClaimedRow[]): void {
    const waiting = new Set(this.#rows.map(({ key }) => key));
    const behind = rows.filter(({ key }) => waiting.has(key));
    this.#rows = [...rows.filter(({ key }) => !waiting.has(key)), ...this.#rows, ...behind];
  }

  /** Forgets all rows: they are claimed again when it is their turn. */
  clear(): void {
    this.#rows = [];
  }

  /** Forgets the rows of some shards. */
  drop(gone: (shard: number) => boolean): void {
    const leaving = new Set([...shardsOf(this.#rows)].filter(gone));
    if (leaving.size > 0) this.#rows = this.#rows.filter(({ shard }) => !leaving.has(shard));
  }

  /**
   * Takes out what the next send carries, in order. A row that alone is larger than a partition may be goes by itself as far as
   * its partition is concerned, for the broker to judge.
   */
  take(bounds: SendBounds): ClaimedRow[] {
    const topics = new Map<string, Map<number, Filled>>();
    const rest: ClaimedRow[] = [];
    const taken: ClaimedRow[] = [];
    for (const row of this.#rows) {
      let partitions = topics.get(row.topic);
      if (partitions === undefined) topics.set(row.topic, (partitions = new Map<number, Filled>()));
      let filled = partitions.get(row.shard);
      if (filled === undefined) partitions.set(row.shard, (filled = { bytes: 0, rows: 0, full: false }));
      if (fits(row, filled, bounds)) taken.push(row);
      else rest.push(row);
    }
    // Whoever is first could go, unless it goes apart.
    if (taken.length === 0) taken.push(...rest.splice(0, 1));
    this.#rows = rest;
    return taken;
  }
}

/** Each shard of the rows once. */
export function shardsOf(rows: readonly ClaimedRow[]): ReadonlySet<number> {
  const shards = new Set<number>();
  for (const { shard } of rows) shards.add(shard);
  return shards;
}

/** Once a row of a partition has not fitted, none of those behind it may. */
function fits(row: ClaimedRow, filled: Filled, { partitionBytes, rowsOf, alone, apart }: SendBounds): boolean {
  if (filled.full) return false;
  const bytes = filled.bytes + recordBytes(row);
  const tooMuch = bytes > partitionBytes;
  const single = alone(row) || (apart && tooMuch);
  const waits = filled.rows === 0 ? single && apart : single || tooMuch || filled.rows >= rowsOf(row.shard);
  if (waits) {
    filled.full = true;
    return false;
  }
  filled.bytes = bytes;
  filled.rows += 1;
  filled.full = single;
  return true;
}

/** The largest of the rows: the likeliest to be refused for its size. */
export function largestOf(rows: readonly ClaimedRow[]): ClaimedRow | undefined {
  let largest = rows[0];
  for (const row of rows) if (largest === undefined || recordBytes(row) > recordBytes(largest)) largest = row;
  return largest;
}
