/**
 * W3C Trace Context, 3.2: version (ff is invalid), trace-id and parent-id (all zeros are invalid), trace-flags, and what later
 * versions may add.
 */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** As version 00, whatever version came in. */
  readonly traceparent: string;
}

/** The trace context that a `traceparent` header names; null when it is absent or invalid, and then to be ignored. */
export function parseTraceparent(header: string | undefined): TraceContext | null {
  const [whole, version, traceId, parentId, flags, rest] = TRACEPARENT.exec(header ?? '') ?? [];
  if (whole === undefined || traceId === undefined) return null;
  if (version === '00') return rest === undefined ? { traceId, traceparent: whole } : null;
  // Of a later version only the first 55 characters and the flag "sampled" are known to mean the same.
  const sampled = Number(`0x${flags}`) & 1;
  return { traceId, traceparent: `00-${traceId}-${parentId}-0${sampled}` };
}
