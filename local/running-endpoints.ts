import { realpathSync } from 'node:fs';
import { dataFolder } from './data-folder.ts';
import { readNote } from './folder-lock.ts';
import { errorCode } from './local-infrastructure-error.ts';
import { isAlive } from './processes.ts';

export interface RunningEndpoints {
  /** The process that started the infrastructure. */
  readonly pid: number;
  /** postgres://… of a superuser, database `postgres`. */
  readonly postgresUrl: string;
  /** host:port */
  readonly brokers: readonly string[];
}

/** How to reach the infrastructure that another process runs on this folder; undefined if none is up. */
export function runningEndpoints(dataDir: string): RunningEndpoints | undefined {
  let root: string;
  try {
    root = realpathSync(dataDir);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const note = readNote(dataFolder(root));
  if (note?.endpoints === undefined || !isAlive(note.keeperPid)) return undefined;
  const { postgresUrl, brokers } = note.endpoints;
  return { pid: note.parentPid, postgresUrl, brokers };
}
