import { createHealthServer } from '../http/health-server.ts';
import { developmentKey } from '../http/development-key.ts';
import { readEndpoints, removeEndpoints, writeEndpoints } from '../cli/endpoints-file.ts';
import { loadConfig, type Config, type ServiceType, type TokenKeys } from '../config.ts';
import { createLogger } from '../observability/logger.ts';
import { createLocalWakeup } from '../relay/local-wakeup.ts';
import type { Relay } from '../relay/relay.ts';
import { provideInfrastructure, type Infrastructure } from './infrastructure.ts';
import { closing, Lifecycle, STOP_GRACE } from './lifecycle.ts';
import type { ApiParts } from './api.ts';
import type { Parts, SharedParts } from './parts.ts';
import { relayCheck } from './relay-check.ts';
import { requireFreePort } from './require-free-port.ts';
import { aborted, shutdownSignal } from './shutdown.ts';
import { version } from './version.ts';
import { keepHeapSmall } from './relay-heap.ts';

/**
 * Runs the services of `serviceType` (null: what SERVICE_TYPE says) until a signal ends them.
 *
 * @throws ConfigError, or an Error whose message says what to mend; whatever was started has ended by then.
 */
export async function run(serviceType: ServiceType | null, env: NodeJS.ProcessEnv): Promise<void> {
  const config = loadConfig(serviceType === null ? env : { ...env, SERVICE_TYPE: serviceType });
  if (config.serviceType === 'message-relay') keepHeapSmall();
  const signal = shutdownSignal();
  const readable = process.stdout.isTTY || config.database === null;
  const logger = createLogger({ level: config.logLevel, readable });
  const lifecycle = new Lifecycle(logger);
  signal.addEventListener('abort', armGrace, { once: true });
  try {
    if (config.serviceType !== 'message-relay') await requireFreePort(config.http);
    const infrastructure = await provideInfrastructure(config, {
      joinNeighbour: serviceType !== null,
      progress: (line) => console.log(`  ${line}`),
      signal,
    });
    await lifecycle.start(closing('infrastructure', () => infrastructure.stop()));
    const { promise: failed, reject: fail } = Promise.withResolvers<never>();
    failed.catch(() => undefined);
    const ended = Promise.race([aborted(signal), infrastructure.failed, failed]);
    const started = startServices({ config, infrastructure, lifecycle, logger, signal, fail });
    // Whoever wants to stop while something starts does not wait for it: the lifecycle stops also what comes too late.
    const failure = await Promise.race([started.then(() => ended), ended]);
    if (failure !== undefined) throw failure;
    logger.info({ signal: signal.reason }, 'stopping');
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    armGrace();
    await lifecycle.stop();
    if (signal.aborted) logger.info('stopped');
  }
}

/** From the signal on, a service that hangs must not keep the process for ever; what it had is safe in the database. */
function armGrace(): void {
  setTimeout(() => process.exit(1), STOP_GRACE).unref();
}

/** What a service needs is loaded with it: a relay does not carry the API around. */
async function startServices(shared: SharedParts): Promise<void> {
  const { config, infrastructure, lifecycle, logger } = shared;
  const listens = config.serviceType !== 'message-relay' || config.relay.healthPort !== null;
  const metrics = listens ? await (await import('./metrics.ts')).startMetrics(shared) : null;
  const tracing = await startTracing(shared, metrics);
  const parts: Parts = { ...shared, wakeup: createLocalWakeup(), metrics, tracing };
  const relay = config.serviceType === 'api-gateway' ? null : await startRelay(parts);
  const tokenKeys =
    config.serviceType === 'message-relay' ? null : (config.tokenKeys ?? (await developmentKeys(parts)));
  const api = tokenKeys === null ? null : await startApi({ ...parts, tokenKeys, relay });
  await announce(config, infrastructure, api, lifecycle);
  if (api !== null && tokenKeys !== null) {
    await (await import('./demo-agent.ts')).startDemoAgent(parts, api, tokenKeys);
  }
  if (infrastructure.origin !== 'configured') {
    await (await import('./banner.ts')).banner(config, infrastructure, api, tokenKeys);
  }
  logger.info({ service: config.serviceType, api, relay: relay !== null }, 'ready');
}

/** Before the services, so that it stops after them: what they did last is told, too. */
async function startTracing(
  { config, lifecycle, logger }: SharedParts,
  metrics: Parts['metrics'],
): Promise<Parts['tracing']> {
  if (config.tracing === null) return null;
  const { createTracing } = await import('../observability/tracing/start-tracing.ts');
  const about = { serviceType: config.serviceType, version };
  const tracing = createTracing(config.tracing, about, logger, metrics?.traces ?? null);
  await lifecycle.start(tracing);
  return tracing;
}

async function startApi(parts: ApiParts): Promise<string> {
  const { startApi: start } = await import('./api.ts');
  return start(parts);
}

async function startRelay(parts: Parts): Promise<Relay> {
  const { startRelay: start } = await import('./relay.ts');
  const relay = await start(parts);
  if (parts.config.serviceType === 'message-relay') await startHealth(parts, relay);
  return relay;
}

/** A relay without API tells its health by itself, if it is told where. */
async function startHealth({ config, lifecycle, logger, metrics }: Parts, relay: Relay): Promise<void> {
  const { healthPort: port } = config.relay;
  if (port === null) return;
  await lifecycle.start(
    createHealthServer({
      host: config.http.host,
      port,
      readiness: () => [relayCheck(relay)],
      ...(metrics === null ? {} : { metrics: metrics.page }),
      logger,
    }),
  );
}

/** Anybody who can read the data folder can sign such tokens: whoever runs more than a try should know. */
async function developmentKeys({ config, infrastructure, logger }: Parts): Promise<TokenKeys> {
  const { key } = await developmentKey(config.local.dataDir);
  if (infrastructure.origin === 'configured') {
    logger.warn('tokens are verified by the development key: set JWT_JWKS_URL or JWT_SECRET');
  }
  return { kind: 'secret', secret: key };
}

/**
 * Leaves word for `genesis endpoints`, unless the instance that owns the infrastructure has done so. In production no file is written:
 * its file system may be read-only, and the address of the database holds a password.
 */
async function announce(
  config: Config,
  { origin, database, kafka }: Infrastructure,
  api: string | null,
  lifecycle: Lifecycle,
): Promise<void> {
  const { dataDir } = config.local;
  if (
    config.production ||
    origin === 'neighbour' ||
    (origin === 'configured' && (await readEndpoints(dataDir)) !== null)
  )
    return;
  await writeEndpoints(dataDir, { api, postgres: database.url, kafka: kafka.brokers });
  await lifecycle.start(closing('endpoints', () => removeEndpoints(dataDir)));
}
