/** Bounds of a growing delay, in milliseconds. */
export interface BackoffBounds {
  readonly first: number;
  readonly most: number;
}

/**
 * Milliseconds to wait before try number `attempt` (1, 2, 3 …): doubles from `first` to `most`, half of it fixed and half
 * random, so that many clients of a broker that returns do not come at once ("equal jitter", AWS Architecture Blog,
 * "Exponential Backoff And Jitter").
 */
export function backoffDelay(attempt: number, bounds: BackoffBounds, random: () => number = Math.random): number {
  const whole = Math.min(bounds.most, bounds.first * 2 ** Math.min(attempt - 1, 30));
  return Math.round(whole / 2 + (random() * whole) / 2);
}
