import { Agent, get } from 'node:http';
import { setInterval as every } from 'node:timers/promises';
import { memoryOf } from '../memory.ts';
import type { ApiProcess } from './api-process.ts';

export interface Observation {
  /** Seconds since the load began. */
  readonly at: number;
  /** Resident memory of the API, in MiB. */
  readonly memory: number;
  /** Milliseconds until /livez, which needs nothing but the API's event loop, was answered. */
  readonly delay: number;
}

/** Milliseconds between two looks. */
const INTERVAL = 250;

/**
 * Looks at the API while the load is on, until the signal. One look waits for the answer to the last.
 *
 * @throws Error when the API does not answer any more
 */
export async function watchApi(api: ApiProcess, signal: AbortSignal): Promise<readonly Observation[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const began = performance.now();
  const observations: Observation[] = [];
  try {
    for await (const _ of every(INTERVAL, undefined, { signal })) {
      const at = (performance.now() - began) / 1_000;
      const delay = await timeOf(`${api.address}/livez`, agent, signal);
      observations.push({ at, memory: memoryOf(api.pid), delay });
    }
  } catch (error) {
    if (!signal.aborted) throw new Error('the API does not answer any more', { cause: error });
  } finally {
    agent.destroy();
  }
  return observations;
}

function timeOf(url: string, agent: Agent, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, signal }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - began));
    });
    request.once('error', reject);
  });
}
