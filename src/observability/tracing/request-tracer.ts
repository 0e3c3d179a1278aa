import { SpanKind, type Span } from '@opentelemetry/api';
import type { Spans } from './spans.ts';
import { spanContextOf, traceparentOf } from './traceparent.ts';

/** Others count as one. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** A request as it is when its head was read. */
interface TracedRequest {
  readonly method: string;
  /** As it is registered; null: there is none. */
  readonly route: string | null;
  /** Without its query. */
  readonly path: string;
  /** The caller's W3C trace context, or null. */
  readonly traceparent: string | null;
}

/** How a request ended. */
interface TracedAnswer {
  /** Null: its client did not wait for the answer. */
  readonly status: number | null;
  readonly sessionId: string | null;
  readonly commandId: string | null;
}

/** The span of a request, whether it is recorded or not. */
class RequestSpan {
  readonly traceId: string;
  readonly traceparent: string;
  readonly #spans: Spans;
  readonly #span: Span;

  constructor(spans: Spans, span: Span) {
    const context = span.spanContext();
    this.traceId = context.traceId;
    this.traceparent = traceparentOf(context);
    this.#spans = spans;
    this.#span = span;
  }

  end({ status, sessionId, commandId }: TracedAnswer): void {
    const span = this.#span;
    if (!span.isRecording()) return;
    if (sessionId !== null) span.setAttribute('genesis.session.id', sessionId);
    if (commandId !== null) span.setAttribute('genesis.command.id', commandId);
    if (status === null) span.setAttribute('genesis.client.gone', true);
    else span.setAttribute('http.response.status_code', status);
    this.#spans.end(span, status !== null && status >= 500 ? String(status) : null);
  }
}

/** Begins the span of each request, in the caller's trace if there is one. */
export class RequestTracer {
  readonly #spans: Spans;

  constructor(spans: Spans) {
    this.#spans = spans;
  }

  begin({ method, route, path, traceparent }: TracedRequest): RequestSpan {
    const verb = METHODS.has(method) ? method : '_OTHER';
    const name = route === null ? verb : `${verb} ${route}`;
    const span = this.#spans.start(name, { kind: SpanKind.SERVER, parent: spanContextOf(traceparent) });
    if (span.isRecording()) {
      span.setAttributes({ 'http.request.method': verb, 'url.scheme': 'http' });
      // Of no route, a path is whatever anybody makes up.
      if (route !== null) span.setAttributes({ 'http.route': route, 'url.path': path });
    }
    return new RequestSpan(this.#spans, span);
  }
}
