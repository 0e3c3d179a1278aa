import type { GenesisApi } from './genesis-api.ts';
import type { ConceptRequest, IncomingRecord } from './read-record.ts';

/** Makes what the agent does part of the trace that the record comes from. */
export interface AgentTracing {
  /** The work on one record: a span `process <topic>` under the request that caused it. `work` gets the request, now under that span. */
  process(
    record: IncomingRecord,
    request: ConceptRequest,
    work: (request: ConceptRequest) => Promise<void>,
  ): Promise<void>;
  /** The same API, and each call of it has a span that goes along as its `traceparent`. */
  api(api: GenesisApi): GenesisApi;
  /** Exports what is left, for some milliseconds at most. */
  close(milliseconds: number): Promise<void>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Null without an endpoint in OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: then OpenTelemetry is not even loaded,
 * and calls carry the record's `traceparent` on as it is.
 */
export async function startTracing(env: Environment): Promise<AgentTracing | null> {
  const endpoint = `${env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? ''}${env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] ?? ''}`;
  if (endpoint === '' || env['OTEL_SDK_DISABLED'] === 'true') return null;
  const { createTracing } = await import('./opentelemetry.ts');
  return createTracing(env['OTEL_SERVICE_NAME'] ?? 'concept-agent');
}
