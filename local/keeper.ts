/**
 * The process that owns PostgreSQL and Kafka: `node keeper.ts`, started by local-infrastructure.ts, never by hand.
 *
 * It has a session of its own, so a terminal's Ctrl-C reaches the parent only; and a channel to the parent, whose end
 * tells it that the parent is gone, however it went. README.md has the state machine.
 */
import { rmSync } from 'node:fs';
import { dataFolder, writeJson } from './data-folder.ts';
import type { KeeperNote } from './folder-lock.ts';
import { lockFolder, notePath } from './folder-lock.ts';
import type { KeeperMessage, KeeperOptions, ParentMessage } from './keeper-protocol.ts';
import { explained, LocalInfrastructureError } from './local-infrastructure-error.ts';
import { endOrphans } from './orphans.ts';
import type { RunningServers } from './servers.ts';
import { prepareServers, startServers } from './servers.ts';

const ending = new AbortController();
const { signal } = ending;
const end = (): void => ending.abort();

function tell(message: KeeperMessage): void {
  // The parent may be gone at any moment: then nobody is there to be told.
  if (process.connected) process.send?.(message, () => undefined);
}

function progress(line: string): void {
  tell({ type: 'progress', line });
}

async function keep(options: KeeperOptions): Promise<void> {
  const folder = dataFolder(options.dataDir);
  const note = (state: KeeperNote): void => writeJson(notePath(folder), state);
  const pids = { keeperPid: process.pid, parentPid: process.ppid };
  const release = await lockFolder(folder, progress, signal);
  let servers: RunningServers | undefined;
  const leaving = (): void => note({ ...pids, state: 'stopping' });
  signal.addEventListener('abort', leaving);
  try {
    note({ ...pids, state: 'starting' });
    await endOrphans(folder, progress, signal);
    const plan = await prepareServers(folder, options, progress, signal);
    servers = await startServers(plan, signal);
    note({ ...pids, state: 'running', endpoints: plan.endpoints });
    tell({ type: 'running', ...plan.endpoints });
    void servers.died.then((sentence) => tell({ type: 'died', sentence }));
    await aborted();
  } finally {
    await servers?.stop();
    // From here on the note, like the folder, may be somebody else's.
    signal.removeEventListener('abort', leaving);
    rmSync(notePath(folder), { force: true });
    release();
  }
}

function aborted(): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function run(options: KeeperOptions): Promise<void> {
  try {
    await keep(options);
  } catch (error) {
    if (!signal.aborted) refuse(explained(error, options.dataDir));
  }
  if (process.connected) process.disconnect?.();
}

function refuse(error: Error): void {
  const expected = error instanceof LocalInfrastructureError;
  if (!expected) console.error(error);
  tell({ type: 'refused', sentence: error.message, expected });
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, end);
// Servers must not outlive us because of a defect of ours.
for (const name of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(name, (error: unknown) => {
    console.error(error);
    process.exitCode = 1;
    end();
  });
}
process.once('disconnect', end);
process.on('message', (message: ParentMessage) => {
  if (message.type === 'stop') end();
  else void run(message.options);
});
