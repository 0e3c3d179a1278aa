import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataFolder } from '../data-folder.ts';
import { errorCode } from '../local-infrastructure-error.ts';
import { LOOPBACK } from '../ports.ts';
import type { Child, EndStep } from '../processes.ts';
import { logSize, readLog, startServer } from '../processes.ts';
import { startFailed } from '../server-failure.ts';
import type { ClusterPlan } from './cluster.ts';

/** Fast shutdown, immediate shutdown, and what no process survives. All three leave the data whole. */
export const POSTGRES_END: readonly EndStep[] = [
  { signal: 'SIGINT', grace: 4_000 },
  { signal: 'SIGQUIT', grace: 1_000 },
  { signal: 'SIGKILL', grace: 1_000 },
];

/** Crash recovery replays at most about max_wal_size (1 GB). */
const READY_LIMIT = 120_000;
const SLOW_AFTER = 3_000;
const LOOK_EVERY = 20;
/** How long (ms) the last processes of a killed server may take to go. */
const LEFTOVERS_LIMIT = 15_000;
const LEFTOVERS = /still in use|is another postmaster/i;

export interface PostgresStart extends ClusterPlan {
  readonly port: number;
  readonly progress: (line: string) => void;
}

export function postgresLog(folder: DataFolder): string {
  return join(folder.logs, 'postgres.log');
}

/** The arguments by which a server on this data is known among the processes. */
export function postgresMark(folder: DataFolder): readonly string[] {
  return ['-D', folder.postgres];
}

function settings(port: number, durable: boolean): string[] {
  const lasting = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
  const all = {
    listen_addresses: LOOPBACK,
    port: String(port),
    // No socket file, hence no folder for it that another user's server could have taken.
    unix_socket_directories: '',
    max_connections: '200',
    shared_buffers: '256MB',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...(durable ? {} : lasting),
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** Resolves once it takes connections. On rejection nothing of it runs any more. */
export async function startPostgres(start: PostgresStart, signal: AbortSignal): Promise<Child> {
  const deadline = performance.now() + LEFTOVERS_LIMIT;
  for (;;) {
    const outcome = await tryStart(start, signal);
    if (!('failure' in outcome)) return outcome;
    if (!LEFTOVERS.test(outcome.failure) || performance.now() > deadline) {
      throw startFailed('PostgreSQL', postgresLog(start.folder), outcome.failure);
    }
    await sleep(200, undefined, { signal });
  }
}

async function tryStart(start: PostgresStart, signal: AbortSignal): Promise<Child | { failure: string }> {
  const { binaries, runAs, folder, port, durable } = start;
  disownPidFile(folder);
  const log = postgresLog(folder);
  const offset = logSize(log);
  const child = await startServer(
    runAs.launch(binaries.postgres, [...postgresMark(folder), ...settings(port, durable)]),
    log,
  );
  try {
    return (await untilReady(child, start, signal)) ? child : { failure: readLog(log, offset) };
  } catch (error) {
    await child.end(POSTGRES_END);
    throw error;
  }
}

/** True once the server says `ready` in its pid file, false if it ended before. */
async function untilReady(child: Child, { folder, progress }: PostgresStart, signal: AbortSignal): Promise<boolean> {
  const since = performance.now();
  let ended = false;
  let told = false;
  void child.exited.then(() => (ended = true));
  while (!ended) {
    const [pid, , , , , , , status] = readPidFile(folder);
    if (pid === String(child.pid) && status?.trim() === 'ready') return true;
    const waited = performance.now() - since;
    if (waited > READY_LIMIT) throw startFailed('PostgreSQL', postgresLog(folder), 'it was not ready in time');
    if (waited > SLOW_AFTER && !told) {
      told = true;
      progress('PostgreSQL is still starting …');
    }
    await sleep(LOOK_EVERY, undefined, { signal });
  }
  return false;
}

function readPidFile(folder: DataFolder): string[] {
  try {
    return readFileSync(join(folder.postgres, 'postmaster.pid'), 'utf8').split('\n');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * A pid file that a killed server left behind may name a process that is something else by now, and PostgreSQL would
 * refuse to start. We hold the folder and have looked through all processes: its postmaster is gone. The file isn't
 * deleted, for by its other lines PostgreSQL notices backends that are still there; its pid becomes ours, which
 * PostgreSQL ignores because we are its parent.
 */
function disownPidFile(folder: DataFolder): void {
  const lines = readPidFile(folder);
  if (lines.length === 0) return;
  writeFileSync(join(folder.postgres, 'postmaster.pid'), [String(process.pid), ...lines.slice(1)].join('\n'));
}
