import type { Logger } from 'pino';
import type { Service } from '../service.ts';

/** Milliseconds that all services together may take to stop. */
export const STOP_GRACE = 9_000;

/**
 * Starts services in order and stops them in reverse. If one does not start, those before it are stopped again.
 * Nothing is left running, whichever way it ends.
 */
export class Lifecycle {
  readonly #logger: Logger;
  readonly #started: Service[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  async start(service: Service): Promise<void> {
    this.#started.push(service);
    await service.start();
    this.#logger.debug({ service: service.name }, 'started');
  }

  /** Never rejects: what cannot be stopped is logged, and the others are stopped all the same. */
  async stop(): Promise<void> {
    for (const service of this.#started.splice(0).toReversed()) {
      try {
        await service.stop();
        this.#logger.debug({ service: service.name }, 'stopped');
      } catch (error) {
        this.#logger.error({ err: error, service: service.name }, 'a service did not stop cleanly');
      }
    }
  }
}

/** Something with an end but no beginning of its own, such as a pool of connections. */
export function closing(name: string, close: () => Promise<unknown>): Service {
  return {
    name,
    start: () => Promise.resolve(),
    stop: async () => {
      await close();
    },
  };
}
