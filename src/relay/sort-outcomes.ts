import assert from 'node:assert/strict';
import type { ClaimedRow, OutageScope, RecordOutcome } from './ports.ts';
import type { Published } from './record-outcomes.ts';

/** What became of one send. */
export interface SortedOutcomes {
  readonly published: readonly Published[];
  /** The rows of each shard whose batch was refused as a whole. */
  readonly refused: ReadonlyMap<number, { readonly rows: readonly ClaimedRow[]; readonly error: string }>;
  /** Shards that cannot be written now, and why. */
  readonly unavailable: ReadonlyMap<number, string>;
  /** What an outage concerns, the widest that was told; null: there is none. */
  readonly outage: { readonly scope: OutageScope; readonly error: string } | null;
  /** Another relay has taken over. */
  readonly fenced: string | null;
}

const WIDTH = { partition: 0, topic: 1, cluster: 2 } as const;

/** Outcomes are per record; what follows from them is per shard. */
export function sortOutcomes(rows: readonly ClaimedRow[], outcomes: readonly RecordOutcome[]): SortedOutcomes {
  assert.equal(outcomes.length, rows.length, 'one outcome per record');
  const sorting = new Sorting();
  for (const [index, row] of rows.entries()) {
    const outcome = outcomes[index];
    assert(outcome !== undefined);
    sorting.add(row, outcome);
  }
  return sorting;
}

class Sorting implements SortedOutcomes {
  readonly published: Published[] = [];
  readonly refused = new Map<number, { rows: ClaimedRow[]; error: string }>();
  readonly unavailable = new Map<number, string>();
  outage: { readonly scope: OutageScope; readonly error: string } | null = null;
  fenced: string | null = null;

  add(row: ClaimedRow, outcome: RecordOutcome): void {
    switch (outcome.kind) {
      case 'acknowledged':
        this.published.push({ row, sent: { id: row.id, partition: outcome.partition, offset: outcome.offset } });
        break;
      case 'refused':
        this.#refuse(row, outcome.error);
        break;
      case 'unavailable':
        this.unavailable.set(row.shard, outcome.error);
        if (this.outage === null || WIDTH[outcome.scope] > WIDTH[this.outage.scope]) this.outage = outcome;
        break;
      case 'fenced':
        this.fenced = outcome.error;
        break;
      case 'rolled-back':
        break;
    }
  }

  #refuse(row: ClaimedRow, error: string): void {
    const batch = this.refused.get(row.shard);
    if (batch === undefined) this.refused.set(row.shard, { rows: [row], error });
    else batch.rows.push(row);
  }
}
