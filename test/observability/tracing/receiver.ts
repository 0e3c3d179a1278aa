import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { vi } from 'vitest';

/** A span as OTLP/JSON tells it, as far as tests look. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: it begins the trace. */
  readonly parentSpanId?: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status: { readonly code: number };
  readonly service: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<Span, 'attributes' | 'service'> & { readonly attributes: readonly Attribute[] })[];
    }[];
  }[];
}

/** `hangs`: it takes the request and never answers. */
type Manner = 'answers' | 'hangs' | 'refuses';

export interface Receiver {
  /** For OTEL_EXPORTER_OTLP_ENDPOINT. */
  readonly endpoint: string;
  readonly spans: Span[];
  /** Of each export. */
  readonly headers: IncomingHttpHeaders[];
  /** Waits until the traces told so far hold what `look` asserts. */
  has<Result>(look: (spans: readonly Span[]) => Result): Promise<Result>;
  stop(): Promise<void>;
}

/** Milliseconds that a condition may take on a busy machine. */
const PATIENCE = 60_000;

/** Takes traces as a collector does: OTLP over HTTP, as JSON. */
export async function startReceiver(manner: Manner = 'answers'): Promise<Receiver> {
  const spans: Span[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    headers.push(request.headers);
    if (manner === 'hangs') return;
    void json(request).then((body) => {
      if (manner === 'answers' && request.url === '/v1/traces') spans.push(...spansOf(body as ExportRequest));
      response
        .writeHead(manner === 'answers' ? 200 : 400, { 'content-type': 'application/json' })
        .end('{"partialSuccess":{}}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    spans,
    headers,
    has: (look) => vi.waitFor(() => look(spans), { timeout: PATIENCE, interval: 100 }),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function spansOf({ resourceSpans }: ExportRequest): Span[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({ ...span, service, attributes: valuesOf(span.attributes) })),
    );
  });
}

function valuesOf(attributes: readonly Attribute[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
