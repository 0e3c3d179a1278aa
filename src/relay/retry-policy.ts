import type { ClaimedRow } from './ports.ts';

export type AfterRefusal = { readonly kind: 'retry'; readonly delayMs: number } | { readonly kind: 'fail' };

/** Both are known to sql/outbox/claim.sql and next-retry.sql, too. */
const FIRST_DELAY_MS = 1_000;
/** Where an operator allows many retries, one an hour is enough. */
const LONGEST_DELAY_MS = 3_600_000;

/** What follows when the broker has refused a row that was alone in its partition's batch: retry n after 2^(n−1) seconds. */
export function afterRefusal(row: Pick<ClaimedRow, 'retryCount' | 'maxRetries'>): AfterRefusal {
  if (row.retryCount >= row.maxRetries) return { kind: 'fail' };
  return { kind: 'retry', delayMs: Math.min(FIRST_DELAY_MS * 2 ** row.retryCount, LONGEST_DELAY_MS) };
}
