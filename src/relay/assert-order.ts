import { AssertionError } from 'node:assert';
import type { ClaimedRow } from './ports.ts';

/**
 * Ids of ordinary rows ascend, versions ascend within each session, and no session comes both ways. A claim that breaks this is a
 * defect; sending it would reorder.
 */
export function assertOrder(rows: readonly ClaimedRow[]): void {
  const sessions = new Map<string, ClaimedRow>();
  let lastId = -Infinity;
  for (const row of rows) {
    if (!row.held) {
      if (row.id <= lastId) fail(`claimed row ${row.id} after ${lastId}`);
      lastId = row.id;
    }
    const before = sessions.get(row.key);
    if (before !== undefined) {
      if (row.sequence <= before.sequence) {
        fail(`row ${row.id}: version ${row.sequence} of session ${row.key} after version ${before.sequence}`);
      }
      if (row.held !== before.held) fail(`row ${row.id}: session ${row.key} is on hold and is not`);
    }
    sessions.set(row.key, row);
  }
}

function fail(message: string): never {
  throw new AssertionError({ message });
}
