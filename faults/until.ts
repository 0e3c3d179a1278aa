import { setTimeout as sleep } from 'node:timers/promises';

export interface UntilOptions {
  /** Milliseconds between looks. Default 100. */
  readonly every?: number;
  /** Milliseconds after which it is an error. Default 60,000. */
  readonly within?: number;
}

/**
 * Looks until there is something to see: a value that is neither null, undefined nor false. A look that rejects counts as
 * nothing seen. @throws after the time is over, with what was waited for and how the last look failed.
 */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | null | undefined | false>,
  { every = 100, within = 60_000 }: UntilOptions = {},
): Promise<Value> {
  const deadline = performance.now() + within;
  let failure: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== null && seen !== undefined && seen !== false) return seen;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${within / 1_000} s: ${what}`, { cause: failure });
    await sleep(every);
  }
}
