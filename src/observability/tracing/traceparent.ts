import { TraceFlags, type SpanContext } from '@opentelemetry/api';

/** W3C Trace Context, as this program stores it: version 00. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/u;
/** Where the digit with the flag "sampled" stands. */
const FLAGS_AT = 54;

/** The span that a stored `traceparent` names; null when it names none. */
export function spanContextOf(traceparent: string | null | undefined): SpanContext | null {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined) return null;
  return { traceId, spanId, traceFlags: Number(`0x${flags}`) & TraceFlags.SAMPLED, isRemote: true };
}

export function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`;
}

/** Whether its trace is recorded, by the flag that whoever began it has set. */
export function isSampled(traceparent: string | null | undefined): boolean {
  return traceparent !== null && traceparent !== undefined && (Number(`0x${traceparent.charAt(FLAGS_AT)}`) & 1) === 1;
}
