import { ERRORS, type ErrorCode, type ErrorDetails, type GenesisError } from '../errors.ts';
import { commandPath, OPS } from './paths.ts';

/** Seconds after which a request that was turned away may be worth repeating, unless its error says otherwise. */
const RETRY_AFTER = '1';

/** Where and in which trace it happened. */
export interface Occurrence {
  /** The path of the request, without its query; null when it could not be read that far. */
  readonly path: string | null;
  readonly traceId: string;
  /** When HTTP has a closer status than the code's own: 408 and 431 are kinds of MALFORMED_REQUEST. */
  readonly status?: number;
}

/** An answer that tells an error (RFC 9457). */
export interface Problem {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body: string;
}

/** The URI that names a kind of error. A name, not an address; docs/api.md explains each. */
export function problemType(code: ErrorCode): string {
  return `urn:genesis:error:${code}`;
}

/** Tells an error: its code's status and title, its own message, then its details, which never displace the members that all have. */
export function problemOf(error: GenesisError, { path, traceId, status }: Occurrence): Problem {
  const { title, status: usual } = ERRORS[error.code];
  const common = {
    type: problemType(error.code),
    title,
    status: status ?? usual,
    detail: error.message,
    ...(path === null ? {} : { instance: path }),
    error_code: error.code,
    message: error.message,
    trace_id: traceId,
  };
  const body = JSON.stringify({ ...common, ...error.details, ...common });
  return { status: common.status, headers: headersOf(error), body };
}

function headersOf(error: GenesisError): Record<string, string> {
  return {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...particularHeaders(error),
  };
}

function particularHeaders({ code, details }: GenesisError): Record<string, string> {
  switch (code) {
    case 'UNAUTHENTICATED':
      return { 'www-authenticate': challenge(String(details['reason'])) };
    case 'METHOD_NOT_ALLOWED':
      return { allow: String(details['allow']) };
    case 'RATE_LIMITED':
      return rateLimitHeaders(details);
    case 'OVERLOADED':
    case 'UNAVAILABLE':
      return { 'retry-after': typeof details['retry_after'] === 'number' ? `${details['retry_after']}` : RETRY_AFTER };
    case 'OUTCOME_UNKNOWN':
      return locationOf(details);
    default:
      return {};
  }
}

/**
 * Besides Retry-After the fields of draft-ietf-httpapi-ratelimit-headers-10, whose names have changed twice already: no client
 * should need them. The window is the time in which an empty bucket fills.
 */
function rateLimitHeaders(details: ErrorDetails): Record<string, string> {
  const wait = Number(details['retry_after']);
  const burst = Number(details['burst']);
  const rate = Number(details['requests_per_second']);
  return {
    'retry-after': `${wait}`,
    ratelimit: `"user";r=0;t=${wait}`,
    'ratelimit-policy': `"user";q=${burst};w=${burst / rate}`,
  };
}

/** Where to learn later what became of the command, or of what an operator did. */
function locationOf({ session_id: session, command_id: command, call_id: call }: ErrorDetails): Record<string, string> {
  if (typeof call === 'string') return { location: `${OPS}/actions?call_id=${call}` };
  return typeof session === 'string' && typeof command === 'string' ? { location: commandPath(session, command) } : {};
}

/** RFC 6750, 3: a request without a token is told nothing but the scheme. */
function challenge(reason: string): string {
  const realm = 'Bearer realm="genesis"';
  return reason === 'missing' ? realm : `${realm}, error="invalid_token", error_description="${reason}"`;
}
