import { setTimeout as sleep } from 'node:timers/promises';
import type { DataFolder } from './data-folder.ts';
import { errorCode, LocalInfrastructureError } from './local-infrastructure-error.ts';
import { KAFKA_END, kafkaMark } from './kafka/broker.ts';
import { POSTGRES_END, postgresMark } from './postgres/server.ts';
import type { EndStep } from './processes.ts';
import { hasArguments, runningProcesses } from './processes.ts';

const LOOK_EVERY = 50;

/**
 * Ends the servers that a killed keeper has left on this folder. They are known by the data folder in their command
 * line, not by a pid that somebody wrote down and that may be another's by now. Only for the holder of the folder.
 */
export async function endOrphans(
  folder: DataFolder,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const servers = [
    { mark: postgresMark(folder), steps: POSTGRES_END },
    { mark: kafkaMark(folder), steps: KAFKA_END },
  ];
  if (servers.every(({ mark }) => find(mark).length === 0)) return;
  progress('Ending the servers that an earlier, killed run has left …');
  await Promise.all(servers.map(({ mark, steps }) => end(mark, steps, signal)));
}

function find(mark: readonly string[]): number[] {
  return runningProcesses()
    .filter(({ pid, commandLine }) => pid !== process.pid && hasArguments(commandLine, mark))
    .map(({ pid }) => pid);
}

async function end(mark: readonly string[], steps: readonly EndStep[], signal: AbortSignal): Promise<void> {
  for (const { signal: kill, grace } of steps) {
    for (const pid of find(mark)) send(pid, kill);
    const since = performance.now();
    while (performance.now() - since < grace) {
      if (find(mark).length === 0) return;
      await sleep(LOOK_EVERY, undefined, { signal });
    }
  }
  const left = find(mark);
  if (left.length > 0) {
    throw new LocalInfrastructureError(
      `Process ${left.join(', ')} of an earlier run still uses the data folder and does not end: end it by hand and start again.`,
    );
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return;
    throw new LocalInfrastructureError(
      `Process ${pid} of an earlier run still uses the data folder and belongs to another user: end it and start again.`,
      { cause: error },
    );
  }
}
