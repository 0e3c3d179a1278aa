import { createSecretKey, hash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions } from 'jose';
import type { TokenConfig } from '../config.ts';
import { GenesisError } from '../errors.ts';
import type { UserId } from '../genesis/ids.ts';
import { createRemoteKeys } from './remote-keys.ts';

/** Who sent a request, as its token says. */
export interface Principal {
  /** The token's `sub`. */
  readonly userId: UserId;
  /** Whatever the roles claim lists; what they allow is settled in access.ts. */
  readonly roles: readonly string[];
  /** The token's `exp`, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface TokenVerifier {
  /**
   * Judges the value of an Authorization header.
   * @throws GenesisError UNAUTHENTICATED, its details carrying the `reason`; UNAVAILABLE when the signing keys cannot be fetched.
   */
  verify(authorization: string | undefined): Promise<Principal>;
}

/** Why a token was refused: enough to mend a client, nothing of the token itself. */
export const REFUSAL_REASONS = [
  'missing',
  'malformed',
  'algorithm',
  'signature',
  'expired',
  'not_yet_valid',
  'issuer',
  'audience',
  'claims',
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/**
 * Which algorithms each kind of key may verify (RFC 8725, 3.1 and 3.2). A shared secret never meets a public-key algorithm nor
 * the other way round, and `none` is in neither list.
 */
const ALGORITHMS = { secret: ['HS256'], jwks: ['RS256', 'ES256', 'EdDSA'] } as const;

/** RFC 7518, 3.2: a key for HS256 has at least the size of the hash. */
const MIN_SECRET_BYTES = 32;
/** More than any sane token, less than Node's limit for all headers together. */
const MAX_TOKEN_LENGTH = 8_192;
const MAX_USER_ID_LENGTH = 255;
/** The user in whose name this program itself acts: events must not look as if it had. */
const OUR_OWN_NAME = 'system';
/** Times are handed to Date: its greatest value. */
const LAST_DATE = 8.64e15;

/** RFC 6750, 2.1 around RFC 7515, 7.1: exactly three parts, none of them empty. The scheme knows no case (RFC 9110, 11.1). */
const BEARER = /^bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;
/** RFC 8725, 3.11: a token made for another purpose (logout, DPoP…) is no access token. */
const ACCESS_TOKEN_TYPES = /^(?:application\/)?(?:jwt|at\+jwt)$/i;
/** RFC 7519, 5.2: what says that it holds another token is none of ours, whatever it holds. */
const NESTED_TOKEN = /^(?:application\/)?jwt$/i;

/** Tokens judged before: how many, and for how many milliseconds a withdrawn key can live on. */
const REMEMBERED_TOKENS = 10_000;
const REMEMBERED_FOR = 60_000;

/**
 * Makes the judge of bearer tokens.
 * @throws Error when the configuration is not safe: a short secret, or a JWKS URL without issuer and audience.
 */
export function createTokenVerifier(config: TokenConfig): TokenVerifier {
  const keys = keysOf(config);
  const options = optionsOf(config);
  const remembered = new Map<string, { readonly principal: Principal; readonly until: number }>();

  function remember(digest: string, principal: Principal): void {
    if (remembered.size >= REMEMBERED_TOKENS) {
      for (const oldest of remembered.keys()) {
        remembered.delete(oldest);
        break;
      }
    }
    const expiry = principal.expiresAt + config.clockTolerance * 1_000;
    remembered.set(digest, { principal, until: Math.min(expiry, Date.now() + REMEMBERED_FOR) });
  }

  return {
    async verify(authorization) {
      const token = tokenOf(authorization);
      // The digest, not the token: what lies in memory for a minute cannot be replayed.
      const digest = hash('sha256', token, 'base64');
      const known = remembered.get(digest);
      if (known !== undefined) {
        if (Date.now() < known.until) return known.principal;
        remembered.delete(digest);
      }
      const principal = await judge(token, { keys, options, rolesClaim: config.rolesClaim });
      remember(digest, principal);
      return principal;
    },
  };
}

/** The refusal of a token. One message for all: the reason says the rest. */
export function unauthenticated(reason: RefusalReason, cause?: unknown): GenesisError {
  return new GenesisError('UNAUTHENTICATED', 'A valid bearer token is needed', { reason }, { cause });
}

function keysOf({ keys, issuer, audience }: TokenConfig): JWTVerifyGetKey {
  if (keys.kind === 'jwks') {
    if (issuer === undefined || audience === undefined) {
      throw new Error('With a JWKS URL the issuer and the audience of tokens must be configured too');
    }
    return createRemoteKeys(new URL(keys.url));
  }
  const secret = Buffer.from(keys.secret);
  if (secret.length < MIN_SECRET_BYTES) {
    throw new Error(`The secret that signs tokens must have at least ${MIN_SECRET_BYTES} bytes`);
  }
  const key = createSecretKey(secret);
  return () => key;
}

function optionsOf(config: TokenConfig): JWTVerifyOptions {
  return {
    algorithms: [...ALGORITHMS[config.keys.kind]],
    requiredClaims: ['sub', 'exp'],
    clockTolerance: config.clockTolerance,
    ...(config.issuer === undefined ? {} : { issuer: config.issuer }),
    ...(config.audience === undefined ? {} : { audience: config.audience }),
  };
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined || !/^bearer(?: |$)/i.test(authorization)) throw unauthenticated('missing');
  if (authorization.length > MAX_TOKEN_LENGTH) throw unauthenticated('malformed');
  const token = BEARER.exec(authorization)?.[1];
  if (token === undefined) throw unauthenticated('malformed');
  return token;
}

interface Judgement {
  readonly keys: JWTVerifyGetKey;
  readonly options: JWTVerifyOptions;
  readonly rolesClaim: string;
}

async function judge(token: string, { keys, options, rolesClaim }: Judgement): Promise<Principal> {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, keys, options);
    if (!isAccessToken(protectedHeader)) throw unauthenticated('malformed');
    return { userId: userOf(payload), roles: rolesOf(payload, rolesClaim), expiresAt: expiryOf(payload) };
  } catch (error) {
    if (error instanceof GenesisError) throw error;
    throw unauthenticated(reasonOf(error), error);
  }
}

/** Headers come as they were sent: a list of one word would pass for that word. */
function isAccessToken({ typ = 'JWT', cty = '' }: { readonly typ?: unknown; readonly cty?: unknown }): boolean {
  return typeof typ === 'string' && ACCESS_TOKEN_TYPES.test(typ) && typeof cty === 'string' && !NESTED_TOKEN.test(cty);
}

function reasonOf(error: unknown): RefusalReason {
  if (error instanceof errors.JWTExpired) return 'expired';
  if (error instanceof errors.JWTClaimValidationFailed) return reasonOfClaim(error.claim);
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm';
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'malformed';
  if (error instanceof errors.JOSENotSupported) return 'malformed';
  // No such key, several such keys, a key that is too weak, or simply a wrong signature.
  return 'signature';
}

function reasonOfClaim(claim: string): RefusalReason {
  switch (claim) {
    case 'nbf':
      return 'not_yet_valid';
    case 'iss':
      return 'issuer';
    case 'aud':
      return 'audience';
    default:
      return 'claims';
  }
}

function userOf({ sub }: JWTPayload): UserId {
  const usable =
    typeof sub === 'string' &&
    sub.length >= 1 &&
    sub.length <= MAX_USER_ID_LENGTH &&
    sub.isWellFormed() &&
    !sub.includes('\0') &&
    sub !== OUR_OWN_NAME;
  if (!usable) throw unauthenticated('claims');
  return sub as UserId;
}

function expiryOf({ exp }: JWTPayload): number {
  // JSON can say 1e999, which would never expire.
  if (exp === undefined || !Number.isFinite(exp)) throw unauthenticated('claims');
  return Math.min(exp * 1_000, LAST_DATE);
}

/** A claim of another shape refuses the token: taken for "no roles" it would make an author of whoever holds it. */
function rolesOf(payload: JWTPayload, claim: string): readonly string[] {
  const roles: unknown = Object.hasOwn(payload, claim) ? payload[claim] : null;
  if (roles === null) return [];
  if (typeof roles === 'string') return roles.split(' ').filter((role) => role !== '');
  if (Array.isArray(roles) && roles.every((role) => typeof role === 'string')) return roles;
  throw unauthenticated('claims');
}
