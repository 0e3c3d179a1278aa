import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { GenesisError } from '../errors.ts';

/** Milliseconds between tries: first, and at most. */
const PAUSE = { first: 200, most: 5_000 };

/**
 * Tries `action` until what it needs is there: a service that is started before its database waits for it.
 *
 * @throws whatever else than UNAVAILABLE `action` throws; the signal's reason if the wait is called off.
 */
export async function untilAvailable<T>(
  what: string,
  action: () => Promise<T>,
  logger: Logger,
  signal: AbortSignal,
): Promise<T> {
  let told = false;
  for (let pause = PAUSE.first; ; pause = Math.min(pause * 2, PAUSE.most)) {
    try {
      const result = await action();
      if (told) logger.info(`${what} is there`);
      return result;
    } catch (error) {
      if (!(error instanceof GenesisError) || error.code !== 'UNAVAILABLE') throw error;
      const words = error.cause instanceof Error ? error.cause.message : error.message;
      if (!told) logger.warn({ error: words }, `waiting for ${what}: is DATABASE_URL (or POSTGRES_HOST …) right?`);
      told = true;
      await delay(pause * (0.5 + Math.random() / 2), undefined, { signal });
    }
  }
}
