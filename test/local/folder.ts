import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { dataFolder } from '../../local/data-folder.ts';
import { kafkaMark } from '../../local/kafka/broker.ts';
import { postgresMark } from '../../local/postgres/server.ts';
import { hasArguments, runningProcesses } from '../../local/processes.ts';

/** A new folder below the system's temporary one, closed to other users as /root is. */
export async function temporaryFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), 'genesis-local-')));
}

/** One that goes with the test. */
export async function folderOfTest(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
  return folder;
}

/** The servers that run on a data folder. */
export function serversOn(dataDir: string): { postgres: number[]; kafka: number[] } {
  const processes = runningProcesses();
  const withMark = (mark: readonly string[]): number[] =>
    processes.filter(({ commandLine }) => hasArguments(commandLine, mark)).map(({ pid }) => pid);
  const folder = dataFolder(dataDir);
  return { postgres: withMark(postgresMark(folder)), kafka: withMark(kafkaMark(folder)) };
}

/** Kills one process; never a group, and never all of them, as an unknown id of 0 or -1 would. */
export function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined || pid <= 1) throw new Error(`${pid} is no process to kill`);
  process.kill(pid, signal);
}

export const NOTHING = { postgres: [], kafka: [] };
