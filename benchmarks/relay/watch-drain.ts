import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';

/** A process that brings a backlog to a topic. */
export interface Drainer {
  /** Seconds of CPU so far. */
  cpu(): number;
  /** The same of PostgreSQL, with what else it does. */
  databaseCpu(): number;
  /** Resident memory in MiB. */
  memory(): number;
  /** Why nothing more will come, null while something may. */
  failure?(): string | null;
  /** Resolves once it is done with what is in the topic already. */
  settled?(): Promise<void>;
}

export interface Drained {
  /** Events per second, from the first record in the topic to the last, and until it is settled. */
  readonly rate: number;
  /** CPU per event, in microseconds. */
  readonly cpu: number;
  /** Both from the middle record on: of a program that has warmed up. */
  readonly laterRate: number;
  readonly laterCpu: number;
  /** Most memory, in MiB. */
  readonly memory: number;
  /** PostgreSQL's, per event. */
  readonly databaseCpu: number;
  /** Offsets of the topic that are taken at the end: markers of transactions count, too. */
  readonly offsets: number;
}

/** Milliseconds without a new record after which it is a failure; starting counts, too. */
const PATIENCE = 120_000;

/** Measures until the topic has so many records. @throws when no more come. */
export async function watchDrain(kafka: KafkaConfig, events: number, drainer: Drainer): Promise<Drained> {
  const reader = new CommittedRecords(kafka, { clientId: 'bench' });
  let memory = 0;
  let published = 0;
  let news = performance.now();
  const reach = async (target: number, every: number): Promise<number> => {
    for (;;) {
      const before = published;
      published = (await reader.ranges()).reduce((sum, { end }) => sum + Number(end), 0);
      memory = Math.max(memory, drainer.memory());
      const now = performance.now();
      if (published !== before) news = now;
      else if (now - news > 1_000) refuseStandstill(drainer, now - news, `${published} of ${events} events came`);
      if (published >= target) return now;
      await sleep(every);
    }
  };
  try {
    const began = await reach(1, 2);
    memory = 0;
    const [cpuBefore, databaseBefore] = [drainer.cpu(), drainer.databaseCpu()];
    const half = await reach(Math.ceil(events / 2), 50);
    const [later, cpuHalfway] = [events - published, drainer.cpu()];
    await reach(events, 50);
    await drainer.settled?.();
    const ended = performance.now();
    return {
      rate: (events * 1_000) / (ended - began),
      cpu: ((drainer.cpu() - cpuBefore) * 1e6) / events,
      laterRate: (later * 1_000) / (ended - half),
      laterCpu: ((drainer.cpu() - cpuHalfway) * 1e6) / later,
      memory,
      databaseCpu: ((drainer.databaseCpu() - databaseBefore) * 1e6) / events,
      offsets: published,
    };
  } finally {
    await reader.close();
  }
}

function refuseStandstill(drainer: Drainer, milliseconds: number, what: string): void {
  const failure = drainer.failure?.() ?? null;
  if (failure !== null) throw new Error(`${what}, no more will: ${failure}`);
  if (milliseconds > PATIENCE) throw new Error(`${what}, and none for ${PATIENCE / 1_000} s`);
}
