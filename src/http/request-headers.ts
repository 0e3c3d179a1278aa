import type { IncomingHttpHeaders } from 'node:http';
import { malformed } from './json-body.ts';

/** 1–255 visible ASCII characters, opaque to us. Two such headers arrive joined by ", " and so are refused too. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
/** A strong entity tag (RFC 9110, 8.8.3) that is a version. */
const VERSION_TAG = /^"(0|[1-9][0-9]{0,14})"$/;

/** An aggregate_version that fits the database's integers. */
const LAST_EVENT_ID = /^(?:0|[1-9][0-9]{0,8})$/;

export interface IfMatch {
  /** As it came. */
  readonly header: string;
  /** Null for `*`: any version of a session that exists. */
  readonly version: number | null;
}

/** @throws GenesisError MALFORMED_REQUEST */
export function idempotencyKeyOf(headers: IncomingHttpHeaders): string | null {
  const key = headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw malformed('Idempotency-Key must be 1 to 255 visible ASCII characters');
}

/**
 * Weak tags are refused: If-Match compares strongly (RFC 9110, 13.1.1), so they could never match.
 * @throws GenesisError MALFORMED_REQUEST
 */
export function ifMatchOf(headers: IncomingHttpHeaders): IfMatch | null {
  const header = headers['if-match'];
  if (header === undefined) return null;
  if (header === '*') return { header, version: null };
  const version = VERSION_TAG.exec(header)?.[1];
  if (version === undefined) throw malformed('If-Match must be one version as it stood in an ETag, such as "3", or *');
  return { header, version: Number(version) };
}

/**
 * The version of the last event that a stream's reader has seen, or null if it does not say.
 * @throws GenesisError MALFORMED_REQUEST
 */
export function lastEventIdOf(headers: IncomingHttpHeaders): number | null {
  const header = headers['last-event-id'];
  if (header === undefined) return null;
  if (typeof header === 'string' && LAST_EVENT_ID.test(header)) return Number(header);
  throw malformed('Last-Event-ID must be the id of an event of this stream: its aggregate_version');
}

/** Whether If-None-Match names the entity tag: then the client has it already. Compares weakly (RFC 9110, 13.1.2). */
export function alreadyHas(headers: IncomingHttpHeaders, etag: string): boolean {
  const header = headers['if-none-match'];
  if (header === undefined) return false;
  return header.split(',').some((tag) => {
    const trimmed = tag.trim();
    return trimmed === '*' || trimmed === etag || trimmed === `W/${etag}`;
  });
}

/** RFC 9110, 7.2: a host as a URI has it (RFC 3986, 3.2.2), which may be empty, and perhaps a port. */
const HOST = /^(?:\[[0-9a-f:.]+\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?$/i;

export function isHost(header: string): boolean {
  return HOST.test(header);
}

/** Whether a header occurs more than once. Node silently keeps the first of some, the token's among them. */
export function isRepeated(rawHeaders: readonly string[], name: string): boolean {
  let seen = false;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const header = rawHeaders[index];
    if (header?.length !== name.length || header.toLowerCase() !== name) continue;
    if (seen) return true;
    seen = true;
  }
  return false;
}
