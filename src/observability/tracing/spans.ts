import {
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type HrTime,
  type Link,
  type Span,
  type SpanContext,
  type SpanKind,
  type Tracer,
} from '@opentelemetry/api';
import { isSampled } from './traceparent.ts';

export interface SpanOptions {
  readonly kind: SpanKind;
  /** Null: it begins a trace. */
  readonly parent: SpanContext | null;
  /** By `performance.now()`; absent: now. */
  readonly startTime?: number;
  readonly attributes?: Attributes;
  readonly links?: Link[];
}

/** Milliseconds after which the wall clock is looked at anew: it is set now and then. */
const CLOCK_LOOKS = 60_000;

/**
 * Begins spans whose parent is told: nothing is kept in an AsyncLocalStorage, which would cost every request. Where a command or
 * a record goes, its `traceparent` goes.
 */
export class Spans {
  readonly #tracer: Tracer;
  readonly #followsParents: boolean;
  /** Milliseconds from this process's beginning to the epoch; and when that was learnt, by `performance.now()`. */
  #offset = 0;
  #lookedAt = -Infinity;

  constructor(tracer: Tracer, followsParents: boolean) {
    this.#tracer = tracer;
    this.#followsParents = followsParents;
  }

  start(name: string, { parent, startTime = performance.now(), ...options }: SpanOptions): Span {
    const context = parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, parent);
    return this.#tracer.startSpan(name, { ...options, startTime: this.#timeOf(startTime) }, context);
  }

  /**
   * @param failure Of a bounded set: a code or a class, never a message, which may hold what nobody should read; null: it went well.
   * @param endTime By `performance.now()`.
   */
  end(span: Span, failure: string | null = null, endTime = performance.now()): void {
    if (failure !== null) span.setAttribute('error.type', failure).setStatus({ code: SpanStatusCode.ERROR });
    span.end(this.#timeOf(endTime));
  }

  /** Whether a span of this trace could be recorded at all. */
  mayRecord(traceparent: string | null | undefined): boolean {
    return traceparent !== null && traceparent !== undefined && (!this.#followsParents || isSampled(traceparent));
  }

  /** The SDK relates the two clocks anew for each span, to a millisecond: spans that follow each other would overlap. */
  #timeOf(monotonic: number): HrTime {
    const now = performance.now();
    if (now - this.#lookedAt > CLOCK_LOOKS) {
      this.#lookedAt = now;
      this.#offset = Date.now() - now;
    }
    const milliseconds = this.#offset + monotonic;
    const seconds = Math.floor(milliseconds / 1_000);
    return [seconds, Math.round((milliseconds - seconds * 1_000) * 1e6)];
  }
}

/** Most links of one span, as OpenTelemetry has it. A larger batch links to its first ones; all of them link to it. */
const LINKS_MAX = 128;

export function linksTo(contexts: readonly SpanContext[]): Link[] {
  return contexts.slice(0, LINKS_MAX).map((context) => ({ context }));
}

export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return '_OTHER';
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name;
}
