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
  #stopped = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @throws what the service's start throws; an error if all is being stopped meanwhile: then the service is stopped, too. */
  async start(service: Service): Promise<void> {
    if (!this.#stopped) {
      this.#started.push(service);
      await service.start();
    }
    if (this.#stopped) {
      await this.#stop(service);
      throw new Error(`${service.name} did not start: everything is being stopped`);
    }
    this.#logger.debug({ service: service.name }, 'started');
  }

  /** Never rejects: what cannot be stopped is logged, and the others are stopped all the same. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const service of this.#started.splice(0).toReversed()) await this.#stop(service);
  }

  async #stop(service: Service): Promise<void> {
    try {
      await service.stop();
      this.#logger.debug({ service: service.name }, 'stopped');
    } catch (error) {
      this.#logger.error({ err: error, service: service.name }, 'a service did not stop cleanly');
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
