import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import type { SamplerConfig } from '../../../src/config-tracing.ts';
import { createSampler, followsParents } from '../../../src/observability/tracing/sampler.ts';
import { Spans } from '../../../src/observability/tracing/spans.ts';

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
export const SPAN_ID = '00f067aa0ba902b7';
export const SAMPLED = `00-${TRACE_ID}-${SPAN_ID}-01`;
export const UNSAMPLED = `00-${TRACE_ID}-${SPAN_ID}-00`;

/** Spans as this program begins them, and those that were recorded and have ended. */
export function recordedSpans(sampler: SamplerConfig = { kind: 'parentbased_always_on', ratio: 1 }) {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({
    sampler: createSampler(sampler),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
  return {
    spans: new Spans(provider.getTracer('test'), followsParents(sampler)),
    ended: () => exporter.getFinishedSpans(),
  };
}
