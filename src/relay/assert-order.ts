import assert from 'node:assert/strict';
import type { ClaimedRow } from './ports.ts';

/** Ids ascend, and versions ascend within each session. A claim that breaks this is a defect; sending it would reorder. */
export function assertOrder(rows: readonly ClaimedRow[]): void {
  const versions = new Map<string, number>();
  let lastId = -Infinity;
  for (const row of rows) {
    assert(row.id > lastId, `claimed row ${row.id} after ${lastId}`);
    lastId = row.id;
    const version = versions.get(row.key);
    assert(
      version === undefined || row.sequence > version,
      `row ${row.id}: version ${row.sequence} of session ${row.key} after version ${version ?? 0}`,
    );
    versions.set(row.key, row.sequence);
  }
}
