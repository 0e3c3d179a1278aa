import { loadConfig } from '../config.ts';
import { createHealthServer } from '../http/health-server.ts';
import type { Reconciling } from '../observability/metrics/reconcile-metrics.ts';
import { createLogger } from '../observability/logger.ts';

type Environment = Readonly<Record<string, string | undefined>>;

export interface MetricsOptions {
  readonly host: string;
  readonly port: number;
  readonly version: string;
}

/** Metrics on the port that was asked for, on HOST; null: on none. @throws ConfigError */
export function metricsOptions(env: Environment, port: number | undefined, version = ''): MetricsOptions | null {
  return port === undefined ? null : { host: loadConfig(env, 'tool').http.host, port, version };
}

/** Tells what reconciliation has come to while `use` is under way: /metrics, and /livez and /readyz, which are always well. */
export async function tellingMetrics<Result>(
  { host, port, version }: MetricsOptions,
  following: () => Reconciling,
  use: () => Promise<Result>,
): Promise<Result> {
  // Only who asks for metrics loads what makes them.
  const { createMetrics } = await import('../observability/metrics/metrics.ts');
  const { processMetrics } = await import('../observability/metrics/process-metrics.ts');
  const { reconcileMetrics } = await import('../observability/metrics/reconcile-metrics.ts');
  const metrics = createMetrics({ version, service: 'reconcile' });
  const ofProcess = processMetrics(metrics);
  reconcileMetrics(metrics, following);
  const server = createHealthServer({
    host,
    port,
    setting: '--metrics-port',
    readiness: () => [],
    metrics: () => metrics.scrape(),
    // Lines of standard output are findings.
    logger: createLogger({ level: 'error', readable: true }),
  });
  await server.start();
  await ofProcess.start();
  try {
    return await use();
  } finally {
    await ofProcess.stop();
    await server.stop();
  }
}
