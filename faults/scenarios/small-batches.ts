/** Many rounds of claim, send and mark, so that a fault at a random moment often strikes between two of them. */
export const SMALL_BATCHES = { RELAY_BATCH_SIZE: '20', RELAY_BATCH_MAX: '50' } as const;

/** At the most two batches are sent again after each crash or freeze of a relay. */
export function duplicatesOf(faults: number): number {
  return faults * 2 * Number(SMALL_BATCHES.RELAY_BATCH_MAX);
}
