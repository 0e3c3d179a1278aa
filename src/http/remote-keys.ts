import {
  createRemoteJWKSet,
  customFetch,
  errors,
  jwksCache,
  type FetchImplementation,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
} from 'jose';
import { GenesisError } from '../errors.ts';

/** Milliseconds that a fetch of the keys may take. */
const FETCH_TIMEOUT = 3_000;
/** Milliseconds after a fetch in which a token with an unknown key does not cause another: anybody can make such tokens. */
const COOLDOWN = 30_000;
/** Milliseconds after a failed fetch in which no other is tried. */
const PAUSE_AFTER_FAILURE = 1_000;
/** Milliseconds after which the keys are fetched again in the background… */
const REFRESH_AFTER = 300_000;
/**
 * …and, where nobody came meanwhile, before the next token is judged. With the minute for which judged tokens are remembered a
 * key that was taken back counts for ten minutes at most…
 */
const TRUSTED_FOR = 540_000;
/** …unless the server of the keys is away: then for an hour, rather than turn every user away at once. */
const STALE_AFTER = 3_600_000;
/** Milliseconds after a failed fetch in which nobody waits for another while there are keys at hand. */
const NO_WAIT_AFTER_FAILURE = 30_000;

/**
 * The public keys at a JWKS URL: fetched at first need, kept, refreshed in the background, and fetched again when a token names
 * a key that is not among them (rotation).
 *
 * The function it returns throws what `jose` throws when no key fits, and GenesisError UNAVAILABLE when the keys cannot be had.
 */
export function createRemoteKeys(url: URL): JWTVerifyGetKey {
  const cache: JWKSCacheInput = {};
  const fetcher = createPausingFetch();
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT,
    cooldownDuration: COOLDOWN,
    cacheMaxAge: STALE_AFTER,
    [jwksCache]: cache,
    [customFetch]: fetcher.fetch,
  });

  async function refresh(): Promise<void> {
    const age = cache.uat === undefined ? 0 : Date.now() - cache.uat;
    if (age <= REFRESH_AFTER) return;
    // Joins a fetch that is under way. Its failure is no news for this request: the keys at hand still count.
    const fetched = keys.reload().catch(() => undefined);
    if (age > TRUSTED_FOR && !fetcher.failedWithin(NO_WAIT_AFTER_FAILURE)) await fetched;
  }

  return async (header, token) => {
    await refresh();
    try {
      return await keys(header, token);
    } catch (error) {
      if (isAboutTheToken(error)) throw error;
      throw new GenesisError(
        'UNAVAILABLE',
        'The keys that tokens are signed with cannot be fetched',
        {},
        { cause: error },
      );
    }
  };
}

interface PausingFetch {
  readonly fetch: FetchImplementation;
  /** Whether a fetch failed within so many milliseconds. */
  failedWithin(milliseconds: number): boolean;
}

/** One caller after another must not knock at a server that has just failed, nor wait for it. */
function createPausingFetch(): PausingFetch {
  let failedAt = Number.NEGATIVE_INFINITY;
  const failedWithin = (milliseconds: number) => Date.now() < failedAt + milliseconds;
  return {
    failedWithin,
    async fetch(url, options) {
      if (failedWithin(PAUSE_AFTER_FAILURE)) throw new Error('The last fetch failed a moment ago');
      let failed = true;
      try {
        const response = await fetch(url, options);
        failed = !response.ok || !isKeySet(await response.clone().json());
        return response;
      } finally {
        if (failed) failedAt = Date.now();
      }
    },
  };
}

/** RFC 7517, 5, as far as `jose` insists on it. */
function isKeySet(json: unknown): boolean {
  if (typeof json !== 'object' || json === null || !('keys' in json)) return false;
  return Array.isArray(json.keys) && json.keys.every((key) => typeof key === 'object' && key !== null);
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
