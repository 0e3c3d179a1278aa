import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between tries: the first pause, and the longest. */
export interface Backoff {
  readonly first: number;
  readonly most: number;
}

/**
 * Milliseconds to wait after try number `attempt` (1, 2, 3 …): doubles up to the longest, half of it random, so that many
 * agents do not come back at the same moment.
 */
export function backoffDelay(attempt: number, { first, most }: Backoff, random: () => number = Math.random): number {
  const whole = Math.min(most, first * 2 ** Math.min(attempt - 1, 30));
  return Math.round(whole / 2 + (random() * whole) / 2);
}

/** Waits. @throws the signal's reason, wrapped, when it aborts */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}

/** Waits for `work`, or rejects at once when the signal aborts. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(new Error('stopped', { cause: signal.reason }));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', abort);
    work.catch(() => undefined);
  }
}
