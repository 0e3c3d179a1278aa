import { once } from 'node:events';

/**
 * The wish to stop: aborts at the first SIGINT, SIGTERM or SIGHUP with the signal's name as its reason.
 * A second one ends the process at once.
 */
export function shutdownSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(130);
      controller.abort(name);
    });
  }
  return controller.signal;
}

/** Resolves when `signal` aborts; at once if it has. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
