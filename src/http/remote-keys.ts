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
/** Milliseconds after which the keys are fetched again in the background: a key taken back stays valid at most this long… */
const REFRESH_AFTER = 600_000;
/** …unless their server is away: then this long, rather than turn every user away at once. */
const STALE_AFTER = 3_600_000;

/**
 * The public keys at a JWKS URL: fetched at first need, kept, refreshed in the background, and fetched again when a token names
 * a key that is not among them (rotation). Nobody waits for a refresh while the keys at hand are good.
 *
 * The function it returns throws what `jose` throws when no key fits, and GenesisError UNAVAILABLE when the keys cannot be had.
 */
export function createRemoteKeys(url: URL): JWTVerifyGetKey {
  const cache: JWKSCacheInput = {};
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: FETCH_TIMEOUT,
    cooldownDuration: COOLDOWN,
    cacheMaxAge: STALE_AFTER,
    [jwksCache]: cache,
    [customFetch]: pausingFetch(),
  });

  return async (header, token) => {
    if (cache.uat !== undefined && Date.now() - cache.uat > REFRESH_AFTER && !keys.reloading) {
      // A failure here is no news for this request: the keys at hand still count.
      keys.reload().catch(() => undefined);
    }
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

/** One caller after another must not knock at a server that has just failed, nor wait for it. */
function pausingFetch(): FetchImplementation {
  let pausedUntil = 0;
  return async (url, options) => {
    if (Date.now() < pausedUntil) throw new Error('The last fetch failed a moment ago');
    let failed = true;
    try {
      const response = await fetch(url, options);
      failed = !response.ok;
      return response;
    } finally {
      if (failed) pausedUntil = Date.now() + PAUSE_AFTER_FAILURE;
    }
  };
}

function isAboutTheToken(error: unknown): boolean {
  return (
    error instanceof errors.JWKSNoMatchingKey ||
    error instanceof errors.JWKSMultipleMatchingKeys ||
    error instanceof errors.JOSENotSupported
  );
}
