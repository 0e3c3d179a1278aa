import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataFolder } from './data-folder.ts';
import { isRecord, readJson } from './data-folder.ts';
import { LocalInfrastructureError } from './local-infrastructure-error.ts';
import type { Endpoints } from './keeper-protocol.ts';
import { isAlive } from './processes.ts';

/** What the keeper that holds the folder tells about itself, in `keeper.json`. */
export interface KeeperNote {
  readonly keeperPid: number;
  readonly parentPid: number;
  readonly state: 'starting' | 'running' | 'stopping';
  readonly endpoints?: Endpoints;
}

const LOOK_EVERY = 50;
/** A keeper that writes no note, or none of ours, for so long (ms) counts as running. */
const NOTE_LIMIT = 2_000;
const SHUTDOWN_LIMIT = 30_000;

export function notePath(folder: DataFolder): string {
  return join(folder.root, 'keeper.json');
}

export function readNote(folder: DataFolder): KeeperNote | undefined {
  const note = readJson(notePath(folder));
  return isNote(note) ? note : undefined;
}

function isNote(value: unknown): value is KeeperNote {
  return isRecord(value) && typeof value['parentPid'] === 'number' && typeof value['keeperPid'] === 'number';
}

/**
 * Takes the folder for this process, or throws the sentence that names who has it. Where the holder is on its way
 * out (told to stop, or its parent is dead and it will notice), waits for it.
 *
 * The lock is one of the operating system's, which SQLite takes on `keeper.lock`: it ends with the process, however
 * that ends, so it can be neither stale nor stolen. Answers how to let go.
 */
export async function lockFolder(
  folder: DataFolder,
  progress: (line: string) => void,
  signal: AbortSignal,
): Promise<() => void> {
  const since = performance.now();
  let told = false;
  for (;;) {
    const release = tryLock(join(folder.root, 'keeper.lock'));
    if (release !== undefined) return release;
    const waited = performance.now() - since;
    const note = readNote(folder);
    if (!isLeaving(note, waited)) throw alreadyRunning(folder, note);
    if (waited > SHUTDOWN_LIMIT) throw neverLeaves(folder, note);
    if (!told && note !== undefined) progress('Waiting for the previous run to end …');
    told ||= note !== undefined;
    await sleep(LOOK_EVERY, undefined, { signal });
  }
}

function tryLock(path: string): (() => void) | undefined {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return () => database.close();
  } catch (error) {
    database.close();
    if (error instanceof Error && error.message.includes('locked')) return undefined;
    throw error;
  }
}

function isLeaving(note: KeeperNote | undefined, waited: number): boolean {
  // The note comes a moment after the lock, and goes a moment before it.
  if (note === undefined || !isAlive(note.keeperPid)) return waited < NOTE_LIMIT;
  return note.state === 'stopping' || !isAlive(note.parentPid);
}

function alreadyRunning(folder: DataFolder, note: KeeperNote | undefined): LocalInfrastructureError {
  const who = note === undefined ? '' : ` as pid ${note.parentPid}`;
  return new LocalInfrastructureError(
    `${folder.root} is already running${who}: use it (npx genesis endpoints tells how to reach it), or stop it first.`,
  );
}

function neverLeaves(folder: DataFolder, note: KeeperNote | undefined): LocalInfrastructureError {
  return new LocalInfrastructureError(
    `The previous run on ${folder.root} has not ended after ${SHUTDOWN_LIMIT / 1000} s: end process ${note?.keeperPid ?? 'of its keeper'} and start again.`,
  );
}
