import type { FastifyInstance } from 'fastify';
import { GenesisError } from '../errors.ts';
import { named } from './openapi/operations.ts';
import type { HttpDependencies, ReadinessCheck } from './ports.ts';

type Dependencies = Pick<HttpDependencies, 'readiness' | 'logger' | 'config'>;

/** For whoever runs this process: does it live, can it work. Neither needs a token, neither says more than names. */
export function registerHealthRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  // Asks nobody: a process must not be killed because its database is away.
  app.get('/livez', named('getLiveness'), async () => ({ status: 'ok' }));

  app.get('/readyz', named('getReadiness'), async () => {
    const checks = await readinessInTime(dependencies);
    const failing = checks.filter((check) => !check.ok);
    if (failing.length === 0) return { status: 'ready', checks: checks.map(withoutDetail) };
    for (const { name, detail } of failing) dependencies.logger.warn({ dependency: name, detail }, 'not ready');
    const names = failing.map(({ name }) => name).join(', ');
    throw new GenesisError('UNAVAILABLE', `Not ready: ${names}`, { checks: checks.map(withoutDetail) });
  });
}

/** Addresses and drivers' words stay in the log. */
function withoutDetail({ name, ok }: ReadinessCheck): ReadinessCheck {
  return { name, ok };
}

/** Who asks wants an answer, also when a dependency gives none. */
async function readinessInTime({ readiness, config, logger }: Dependencies): Promise<readonly ReadinessCheck[]> {
  const late = Promise.withResolvers<readonly ReadinessCheck[]>();
  const timer = setTimeout(() => {
    late.resolve([{ name: 'readiness', ok: false, detail: `no answer within ${config.requestTimeout} ms` }]);
  }, config.requestTimeout);
  try {
    return await Promise.race([readiness(), late.promise]);
  } catch (error) {
    logger.error({ err: error }, 'readiness could not be learnt');
    return [{ name: 'readiness', ok: false }];
  } finally {
    clearTimeout(timer);
  }
}
