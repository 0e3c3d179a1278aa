import { setTimeout as sleep } from 'node:timers/promises';
import { cpuOf, cpuOfFamily } from '../api/cpu.ts';
import { untilDrained, type Genesis } from '../genesis.ts';
import { memoryOf } from '../memory.ts';
import type { Servers } from '../servers.ts';
import { judgeRun, type Judgement } from './judge-run.ts';
import { applyLoad, type Load, type LoadFigures } from './load.ts';
import { Sampler, type Watched } from './sampler.ts';
import { readTimeline, type Second } from './timeline.ts';

export interface Run {
  /** Commands per second that were offered; null: as many as the connections took. */
  readonly rate: number | null;
  readonly load: LoadFigures;
  readonly timeline: readonly Second[];
  readonly judgement: Judgement;
  /** Milliseconds from the last answer until no row was pending. */
  readonly drainedAfter: number;
}

export type RunPlan = Pick<Load, 'sessionsFile' | 'answersFile' | 'connections' | 'seconds' | 'rate'>;

/** Commands in and records out at once, from an empty backlog to an empty backlog. */
export async function runEndToEnd(servers: Servers, genesis: Genesis, plan: RunPlan): Promise<Run> {
  await untilDrained(genesis.database);
  // What comes is counted by whole seconds of the clock on which rows are stamped.
  await sleep(1_000 - (Date.now() % 1_000));
  const beganAt = Date.now();
  const sampler = new Sampler(watchedOf(servers, genesis));
  const load = await applyLoad({ address: genesis.api.address, ...plan });
  const samples = sampler.stop();
  const ended = performance.now();
  await untilDrained(genesis.database);
  const drainedAfter = performance.now() - ended;
  const timeline = await readTimeline(genesis.database, beganAt);
  return { rate: plan.rate, load, timeline, judgement: judgeRun(timeline, samples, plan.seconds), drainedAfter };
}

function watchedOf({ postgres, cluster }: Servers, { api, relay }: Genesis): Watched {
  const [broker] = cluster.nodes;
  return {
    cpu: {
      api: () => cpuOf(api.pid),
      relay: () => relay.cpu() * 1e6,
      postgres: () => cpuOfFamily(postgres.pid()),
      kafka: () => cpuOf(broker?.pid() ?? 0),
    },
    memory: { api: () => memoryOf(api.pid), relay: () => relay.memory() },
  };
}
