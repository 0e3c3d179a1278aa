import type { FastifyInstance } from 'fastify';
import { GenesisError } from '../errors.ts';
import { named } from './openapi/operations.ts';
import type { HttpDependencies, ReadinessCheck } from './ports.ts';
import { sendProblem } from './send-problem.ts';

type Dependencies = Pick<HttpDependencies, 'readiness' | 'logger' | 'config' | 'metrics'>;
type Log = Dependencies['logger'];

/** For whoever runs this process: does it live, can it work, what does it do. None needs a token, none says more than names and numbers. */
export function registerHealthRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  // Asks nobody: a process must not be killed because its database is away.
  app.get('/livez', named('getLiveness'), async () => ({ status: 'ok' }));

  const tellChange = changesTo(dependencies.logger);
  app.get('/readyz', named('getReadiness'), async (request, reply) => {
    const checks = await readinessInTime(dependencies);
    const failing = checks.filter((check) => !check.ok);
    tellChange(failing);
    if (failing.length === 0) return { status: 'ready', checks: checks.map(withoutDetail) };
    const details = { checks: checks.map(withoutDetail) };
    return sendProblem(new GenesisError('UNAVAILABLE', `Not ready: ${namesOf(failing)}`, details), request, reply);
  });

  app.get('/metrics', named('getMetrics'), async (_request, reply) => {
    const { contentType, text } = (await dependencies.metrics?.()) ?? { contentType: 'text/plain', text: '' };
    return reply.header('content-type', contentType).header('cache-control', 'no-store').send(text);
  });
}

/** Probes come every few seconds for as long as an outage lasts: only what changes is told. */
function changesTo(logger: Log): (failing: readonly ReadinessCheck[]) => void {
  let told = '';
  return (failing) => {
    const names = namesOf(failing);
    if (names === told) return;
    told = names;
    if (names === '') logger.info('ready again');
    else logger.warn({ why: failing.map(({ name, detail = 'not there' }) => `${name}: ${detail}`) }, 'not ready');
  };
}

function namesOf(checks: readonly ReadinessCheck[]): string {
  return checks.map(({ name }) => name).join(', ');
}

/** Addresses and drivers' words stay in the log. */
function withoutDetail({ name, ok }: ReadinessCheck): ReadinessCheck {
  return { name, ok };
}

/** Who asks wants an answer, also when a dependency gives none. */
async function readinessInTime({ readiness, config }: Dependencies): Promise<readonly ReadinessCheck[]> {
  const late = Promise.withResolvers<readonly ReadinessCheck[]>();
  const timer = setTimeout(() => {
    late.resolve([{ name: 'readiness', ok: false, detail: `no answer within ${config.requestTimeout} ms` }]);
  }, config.requestTimeout);
  try {
    return await Promise.race([readiness(), late.promise]);
  } catch (error) {
    return [{ name: 'readiness', ok: false, detail: error instanceof Error ? error.message : String(error) }];
  } finally {
    clearTimeout(timer);
  }
}
