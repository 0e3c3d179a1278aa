import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { CommandService, CommandStore } from '../../commands/ports.ts';
import type { Config, ServiceType } from '../../config.ts';
import type { Publisher, TransactionalPublisher } from '../../relay/ports.ts';
import type { Service } from '../../service.ts';
import { RequestTracer } from './request-tracer.ts';
import { createSampler, followsParents } from './sampler.ts';
import { tellFates } from './span-fates.ts';
import { SpanQueue } from './span-queue.ts';
import { Spans } from './spans.ts';
import type { TraceMetrics } from './trace-metrics.ts';
import { CommandTracer } from './traced-commands.ts';
import { tracedPublisher, tracedTransactions } from './traced-publisher.ts';

type TracingConfig = NonNullable<Config['tracing']>;

/** What one export may take, its repetitions included, in milliseconds. */
const EXPORT_LIMIT = 5_000;
/** What the last spans may take when the process stops, in milliseconds. */
const FLUSH_LIMIT = 1_500;
/** Characters of an attribute: more is cut off. A path is as long as a client makes it, and recorded before anybody knows who that is. */
const VALUE_LIMIT = 256;

const SERVICE_NAMES = {
  'api-gateway': 'genesis-api',
  'message-relay': 'genesis-relay',
  all: 'genesis',
} as const satisfies Record<ServiceType, string>;

/** Who this process is. */
export interface TracedProcess {
  readonly serviceType: ServiceType;
  /** Of package.json. */
  readonly version: string;
}

/** What makes the work of a process visible as traces. Wraps what it is given; whoever is not wrapped pays nothing. */
export interface Tracing extends Service {
  readonly requests: RequestTracer;
  commands(service: CommandService): CommandService;
  /** Of the service that `commands` has wrapped. */
  commandStore(store: CommandStore): CommandStore;
  publisher(publisher: Publisher): Publisher;
  transactions(publisher: TransactionalPublisher): TransactionalPublisher;
}

/** Load this module only when something is to be traced: it brings OpenTelemetry's SDK with it. `stop` takes two seconds at most. */
export function createTracing(
  config: TracingConfig,
  about: TracedProcess,
  logger: Logger,
  metrics: TraceMetrics | null,
): Tracing {
  const connection = connectionTo(config);
  const queue = new SpanQueue(connection.exporter, tellFates(logger, metrics));
  const provider = new TracerProvider({
    resource: resourceOf(config, about),
    sampler: createSampler(config.sampler),
    spanLimits: { attributeValueLengthLimit: VALUE_LIMIT },
    spanProcessors: [queue],
  });
  const spans = new Spans(provider.getTracer('genesis', about.version), followsParents(config.sampler));
  const commands = new CommandTracer(spans);
  return {
    name: 'tracing',
    start: () => Promise.resolve(),
    async stop() {
      const flushed = provider.shutdown().catch(() => undefined);
      await Promise.race([flushed, sleep(FLUSH_LIMIT, undefined, { ref: false })]);
      queue.abandon();
      connection.close();
    },
    requests: new RequestTracer(spans),
    commands: (service) => commands.service(service),
    commandStore: (store) => commands.store(store),
    publisher: (publisher) => tracedPublisher(publisher, spans),
    transactions: (publisher) => tracedTransactions(publisher, spans),
  };
}

function resourceOf({ serviceName, resource }: TracingConfig, { serviceType, version }: TracedProcess) {
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': SERVICE_NAMES[serviceType],
      'service.version': version,
      'service.instance.id': randomUUID(),
      ...resource,
      ...(serviceName === null ? {} : { 'service.name': serviceName }),
    }),
  );
}

/** The exporter repeats by itself what failed, and cannot be told to end: its connections can. */
function connectionTo({ url, headers }: TracingConfig) {
  const agent = url.startsWith('https:') ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  const exporter = new OTLPTraceExporter({
    url,
    headers: { ...headers },
    timeoutMillis: EXPORT_LIMIT,
    httpAgentOptions: () => agent,
  });
  return {
    exporter,
    close() {
      agent.createConnection = () => {
        throw new Error('tracing has stopped');
      };
      agent.destroy();
    },
  };
}
