import type { AfterRefusal, ClaimedRow } from './ports.ts';

/** What becomes of a row whose tries are over: it holds its session until an operator acts, or its marker goes out in its place. */
export type OnFailed = 'hold' | 'discard';

const FIRST_DELAY_MS = 1_000;
/** Where an operator allows many retries, one an hour is enough. */
const LONGEST_DELAY_MS = 3_600_000;

/** What follows when the broker has refused a row that was alone in its partition's batch: retry n after 2^(n−1) seconds. */
export function afterRefusal(row: Pick<ClaimedRow, 'retryCount' | 'maxRetries'>, onFailed: OnFailed): AfterRefusal {
  if (row.retryCount >= row.maxRetries) return { kind: onFailed === 'hold' ? 'fail' : 'discard' };
  return { kind: 'retry', delayMs: Math.min(FIRST_DELAY_MS * 2 ** row.retryCount, LONGEST_DELAY_MS) };
}
