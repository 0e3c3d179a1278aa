import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { ConceptRequest, IncomingRecord } from './read-record.ts';
import type { AgentTracing } from './tracing.ts';

/** W3C Trace Context, version 00. */
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/u;

/** The exporter reads OTEL_EXPORTER_OTLP_… by itself. Whether a trace is recorded was decided where it began. */
export function createTracing(serviceName: string): AgentTracing {
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes({ 'service.name': serviceName })),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: 1_000 })],
  });
  const tracer = provider.getTracer('concept-agent');
  const start = (name: string, kind: SpanKind, { traceparent }: ConceptRequest) =>
    tracer.startSpan(name, { kind }, contextOf(traceparent));
  return {
    async process(record, request, work) {
      const span = start(`process ${record.topic}`, SpanKind.CONSUMER, request);
      await within(span.setAttributes(attributesOf(record, request)), request, work);
    },
    api: (api) => ({
      isOutstanding: (request) =>
        within(start('GET session', SpanKind.CLIENT, request), request, (traced) => api.isOutstanding(traced)),
      deliver: (request, answer) =>
        within(start('POST command', SpanKind.CLIENT, request), request, (traced) => api.deliver(traced, answer)),
    }),
    async close(milliseconds) {
      const late = new Promise<void>((resolve) => void setTimeout(resolve, milliseconds).unref());
      await Promise.race([provider.shutdown().catch(() => undefined), late]);
    },
  };
}

/** Does the work with the request whose `traceparent` names the span, and ends the span with it. */
async function within<Result>(
  span: Span,
  request: ConceptRequest,
  work: (request: ConceptRequest) => Promise<Result>,
): Promise<Result> {
  const { traceId, spanId, traceFlags } = span.spanContext();
  try {
    return await work({ ...request, traceparent: `00-${traceId}-${spanId}-0${traceFlags}` });
  } catch (error) {
    span.setAttribute('error.type', error instanceof Error ? error.name : '_OTHER');
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}

function attributesOf({ topic, partition, offset }: IncomingRecord, request: ConceptRequest): Attributes {
  return {
    'messaging.system': 'kafka',
    'messaging.operation.type': 'process',
    'messaging.operation.name': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.kafka.offset': Number(offset),
    'messaging.message.id': request.eventId,
    'genesis.session.id': request.sessionId,
  };
}

/** Of the span that a `traceparent` names: what begins in it comes under that. */
function contextOf(traceparent: string | null): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: Number(`0x${flags}`) & 1, isRemote: true });
}
