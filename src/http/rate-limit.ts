import { GenesisError } from '../errors.ts';
import type { UserId } from '../genesis/ids.ts';

/** A bucket holds what comes in within so many seconds: how much may come at once. */
const BURST_SECONDS = 2;
/** Users remembered at most; some 20 MB. Only those count who sent something within the last BURST_SECONDS. */
const MAX_USERS = 100_000;

export interface RateLimitSettings {
  /** Requests that one user may send in a second, in the long run. 0: no limit. */
  readonly perSecond: number;
  /** Most users remembered; one more displaces the one who has been away longest, who then begins with a full bucket. */
  readonly users?: number;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

export interface RateLimit {
  /** Lets a request in: 0; or charges nothing and says in how many milliseconds there will be room. */
  take(user: UserId): number;
  /** Users remembered. */
  readonly size: number;
}

interface Bucket {
  tokens: number;
  /** When `tokens` was true. */
  at: number;
}

/**
 * A token bucket for each user, in the memory of this process: each API process counts for itself. In any window of t seconds a
 * user gets at most `perSecond * (2 + t)` requests in. A bucket that is full again says nothing and is forgotten.
 */
export function createRateLimit(settings: RateLimitSettings): RateLimit {
  const { perSecond, users = MAX_USERS, now = () => performance.now() } = settings;
  if (perSecond === 0) return { take: () => 0, size: 0 };
  const capacity = burstOf(perSecond);
  const perMillisecond = perSecond / 1_000;
  /** The one who has been away longest comes first. */
  const buckets = new Map<UserId, Bucket>();

  const tokensIn = (bucket: Bucket, time: number) =>
    Math.min(capacity, bucket.tokens + (time - bucket.at) * perMillisecond);

  /** Two a request, where each adds one at most: what is to be forgotten never piles up, and nobody waits for a great clean-up. */
  function forget(time: number): void {
    let looks = 2;
    for (const [user, bucket] of buckets) {
      if (looks === 0 || (buckets.size <= users && tokensIn(bucket, time) < capacity)) return;
      buckets.delete(user);
      looks -= 1;
    }
  }

  return {
    take(user) {
      const time = now();
      const bucket = buckets.get(user) ?? { tokens: capacity, at: time };
      const tokens = tokensIn(bucket, time);
      const admitted = tokens >= 1;
      bucket.tokens = admitted ? tokens - 1 : tokens;
      bucket.at = time;
      // Deleted first, so that it becomes the last.
      buckets.delete(user);
      buckets.set(user, bucket);
      forget(time);
      return admitted ? 0 : (1 - tokens) / perMillisecond;
    },
    get size() {
      return buckets.size;
    },
  };
}

/** @param wait Milliseconds until there is room. */
export function rateLimited(perSecond: number, wait: number): GenesisError {
  return new GenesisError('RATE_LIMITED', `More than ${perSecond} requests per second; slow down`, {
    retry_after: Math.ceil(wait / 1_000),
    requests_per_second: perSecond,
    burst: burstOf(perSecond),
  });
}

function burstOf(perSecond: number): number {
  return perSecond * BURST_SECONDS;
}
