import { hash } from 'node:crypto';

/** What a retry must repeat to be the same request. */
export interface RequestIdentity {
  readonly method: string;
  /** Without query, ids in lower case. */
  readonly path: string;
  readonly body: unknown;
  /** The If-Match header as it came, or null. */
  readonly ifMatch: string | null;
}

/** SHA-256 in hex of what makes a request the same request; how its JSON is spaced and ordered does not. */
export function fingerprintOf({ method, path, body, ifMatch }: RequestIdentity): string {
  return hash('sha256', JSON.stringify([method, path, canonicalJson(body), ifMatch]), 'hex');
}

/**
 * JSON with sorted keys and no spaces, in the manner of RFC 8785. Recursive: only for values whose depth was checked.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(byKey).map(canonicalMember);
  return `{${members.join(',')}}`;
}

function canonicalMember([key, value]: [string, unknown]): string {
  return `${JSON.stringify(key)}:${canonicalJson(value)}`;
}

/** By UTF-16 code units (RFC 8785, 3.2.3). Keys of one object differ. */
function byKey([left]: [string, unknown], [right]: [string, unknown]): number {
  return left < right ? -1 : 1;
}
