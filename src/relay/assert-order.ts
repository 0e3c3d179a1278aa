import { AssertionError } from 'node:assert';
import type { ClaimedRow } from './ports.ts';

/**
 * Ids of ordinary rows ascend, versions ascend within each session, and no session comes both ways; and none comes before a row of its
 * session that was claimed before and is not acknowledged. A claim that breaks this is a defect; sending it would reorder.
 * @param unsent Those rows.
 */
export function assertOrder(rows: readonly ClaimedRow[], unsent: readonly ClaimedRow[]): void {
  const latest = latestOf(unsent);
  const sessions = new Map<string, ClaimedRow>();
  let lastId = -Infinity;
  for (const row of rows) {
    if (!row.held) {
      if (row.id <= lastId) fail(`claimed row ${row.id} after ${lastId}`);
      lastId = row.id;
    }
    const before = sessions.get(row.key);
    const sequence = before?.sequence ?? latest.get(row.key) ?? -Infinity;
    if (row.sequence <= sequence)
      fail(`row ${row.id}: version ${row.sequence} of session ${row.key} after version ${sequence}`);
    if (before !== undefined && row.held !== before.held)
      fail(`row ${row.id}: session ${row.key} is on hold and is not`);
    sessions.set(row.key, row);
  }
}

function latestOf(rows: readonly ClaimedRow[]): ReadonlyMap<string, number> {
  const latest = new Map<string, number>();
  for (const { key, sequence } of rows) latest.set(key, Math.max(sequence, latest.get(key) ?? -Infinity));
  return latest;
}

function fail(message: string): never {
  throw new AssertionError({ message });
}
