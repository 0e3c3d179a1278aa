import { join } from 'node:path';
import type { DataFolder, Remembered } from '../data-folder.ts';
import { exists } from '../data-folder.ts';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import type { Child } from '../processes.ts';
import { formatKafka, startBroker } from './broker.ts';
import { startContainer } from './container.ts';
import type { KafkaJars } from './jars.ts';
import { ensureJars } from './jars.ts';
import type { KafkaRuntime } from './runtime.ts';
import type { KafkaPorts } from './settings.ts';

export interface KafkaPlan {
  readonly jars: KafkaJars;
  readonly runtime: KafkaRuntime;
  readonly folder: DataFolder;
  readonly clusterId: string;
  readonly ports: KafkaPorts;
  readonly progress: (line: string) => void;
}

/** Container and jars keep their data in different places: topics must not seem to vanish between two starts. */
export function checkRuntime(runtime: KafkaRuntime, folder: DataFolder, remembered: Remembered['kafka']): void {
  const { runtime: before } = remembered;
  if (before === undefined || before === runtime.kind) return;
  const [was, is] = before === 'java' ? ['Java', 'Docker'] : ['Docker', 'Java'];
  throw new LocalInfrastructureError(
    `Kafka's data of ${folder.root} was written with ${was}, and only ${is} was found now: make ${was} available again, or delete ${folder.root} to begin anew.`,
  );
}

/** From whatever there is to a broker that serves. On rejection nothing of it runs any more. */
export async function startKafka(plan: KafkaPlan, signal: AbortSignal): Promise<Child> {
  const { jars, runtime, folder, clusterId, ports, progress } = plan;
  if (runtime.kind === 'container') return startContainer({ ...plan, image: runtime.image }, signal);
  await ensureJars(jars, progress, signal);
  const start = { java: runtime.java, jars, folder, ports, progress };
  if (!exists(join(folder.kafka, 'data'))) {
    progress("Formatting Kafka's storage …");
    await formatKafka(start, clusterId, signal);
  }
  return startBroker(start, signal);
}
