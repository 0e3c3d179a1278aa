import { createHash } from 'node:crypto';
import type { DataFolder } from '../data-folder.ts';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import type { Child } from '../processes.ts';
import { lastLines, logSize, runTool, startServer, tryTool, within } from '../processes.ts';
import { kafkaLog } from './broker.ts';
import { untilKafkaReady } from './ready.ts';
import type { KafkaPorts } from './settings.ts';
import { kafkaSettings } from './settings.ts';

const STOP_SECONDS = 5;
const DATA = '/var/lib/kafka/data';

export interface ContainerStart {
  readonly image: string;
  readonly folder: DataFolder;
  readonly clusterId: string;
  readonly ports: KafkaPorts;
  readonly progress: (line: string) => void;
}

/** One container per data folder, known by its name whoever started it. */
function containerName(folder: DataFolder): string {
  return `genesis-kafka-${createHash('sha256').update(folder.root).digest('hex').slice(0, 12)}`;
}

/** Removes what a killed run has left; its data is in a volume and stays. */
async function removeContainer(folder: DataFolder): Promise<void> {
  await tryTool({ command: 'docker', args: ['rm', '--force', containerName(folder)] });
}

/**
 * The same broker in Docker, published on the loopback address only. Its data is in a volume named after the cluster
 * id, so that a new data folder never meets an old folder's topics; the image's user owns it, which a bind mount
 * could not promise. On rejection nothing of it runs any more.
 */
export async function startContainer(start: ContainerStart, signal: AbortSignal): Promise<Child> {
  const { folder, ports, progress } = start;
  await ensureImage(start, signal);
  await removeContainer(folder);
  const log = kafkaLog(folder);
  const offset = logSize(log);
  const docker = await startServer({ command: 'docker', args: runArguments(start) }, log);
  const child: Child = { ...docker, end: () => endContainer(docker, folder) };
  try {
    await untilKafkaReady({ child, port: ports.port, log, offset, progress }, signal);
    return child;
  } catch (error) {
    await child.end([]);
    throw error;
  }
}

async function endContainer(docker: Child, folder: DataFolder): ReturnType<Child['end']> {
  const stop = { command: 'docker', args: ['stop', '--time', String(STOP_SECONDS), containerName(folder)] };
  await tryTool(stop);
  await removeContainer(folder);
  const exit = await within(docker.exited, 1_000);
  return (
    exit ??
    docker.end([
      { signal: 'SIGTERM', grace: 1_000 },
      { signal: 'SIGKILL', grace: 1_000 },
    ])
  );
}

async function ensureImage({ image, progress }: ContainerStart, signal: AbortSignal): Promise<void> {
  const inspected = await runTool({ command: 'docker', args: ['image', 'inspect', image] }, signal);
  if (inspected.code === 0) return;
  progress(`Fetching the image ${image} (once) …`);
  const pulled = await runTool({ command: 'docker', args: ['pull', '--quiet', image] }, signal);
  if (pulled.code === 0) return;
  throw new LocalInfrastructureError(
    `Docker could not fetch ${image}; name another with LOCAL_KAFKA_IMAGE, or install Java 17 and Maven:\n${lastLines(pulled.output, 2)}`,
  );
}

function runArguments({ image, folder, clusterId, ports }: ContainerStart): string[] {
  const settings = Object.entries(kafkaSettings(ports, '0.0.0.0', DATA));
  // How the official image reads settings: KAFKA_ and the name in capitals with underscores.
  const environment = settings.map(([name, value]) => `KAFKA_${name.toUpperCase().replaceAll('.', '_')}=${value}`);
  return [
    // Not --rm: Docker would remove it some time after its end, and the next start find the name taken.
    ...['run', '--name', containerName(folder)],
    ...['--publish', `127.0.0.1:${ports.port}:${ports.port}`],
    ...['--volume', `genesis-kafka-${clusterId}:${DATA}`],
    ...[`CLUSTER_ID=${clusterId}`, 'KAFKA_HEAP_OPTS=-Xmx512m', ...environment].flatMap((each) => ['--env', each]),
    image,
  ];
}
