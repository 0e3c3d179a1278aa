import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, realpathSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, LocalInfrastructureError } from './local-infrastructure-error.ts';

/** Where things lie below the data folder. */
export interface DataFolder {
  readonly root: string;
  readonly postgres: string;
  readonly kafka: string;
  readonly logs: string;
}

export function dataFolder(root: string): DataFolder {
  return { root, postgres: join(root, 'postgres'), kafka: join(root, 'kafka'), logs: join(root, 'logs') };
}

/**
 * Makes the folder and answers its path without symbolic links: orphans of an earlier run are recognised by it, so
 * one folder must have one name.
 */
export function makeDataFolder(path: string): DataFolder {
  mkdirSync(path, { recursive: true });
  const folder = dataFolder(realpathSync(path));
  mkdirSync(folder.logs, { recursive: true });
  return folder;
}

/** What must be the same at the next start. */
export interface Remembered {
  readonly postgres: { readonly user: string; readonly password: string; readonly port?: number };
  readonly kafka: {
    readonly clusterId: string;
    readonly port?: number;
    readonly controllerPort?: number;
    /** The newest version that has run on this data. */
    readonly version?: string;
    readonly runtime?: 'java' | 'container';
  };
}

const REMEMBERED = 'local.json';

/** Reads `local.json`; makes new credentials and a new cluster id where there is none. Nothing is written. */
export function recall(folder: DataFolder): Remembered {
  const path = join(folder.root, REMEMBERED);
  const found = readJson(path);
  if (found === undefined) return invent(folder);
  if (!isRemembered(found)) {
    throw new LocalInfrastructureError(
      `${path} is not readable as what this program wrote: restore it, or delete ${folder.root} to begin anew.`,
    );
  }
  return found;
}

function invent(folder: DataFolder): Remembered {
  if (exists(folder.postgres) || exists(join(folder.kafka, 'data'))) {
    throw new LocalInfrastructureError(
      `${folder.root} holds data but no ${REMEMBERED} with its password and cluster id: restore that file, or delete ${folder.root} to begin anew.`,
    );
  }
  return {
    postgres: { user: 'genesis', password: randomBytes(24).toString('base64url') },
    kafka: { clusterId: kafkaUuid() },
  };
}

/** Kafka refuses ids that begin with a dash: they look like options. */
function kafkaUuid(): string {
  for (;;) {
    const id = randomBytes(16).toString('base64url');
    if (!id.startsWith('-')) return id;
  }
}

export function remember(folder: DataFolder, remembered: Remembered): void {
  writeJson(join(folder.root, REMEMBERED), remembered);
}

/** Only this user may read it. Whole or not at all, also when the power fails. */
export function writeJson(path: string, value: unknown): void {
  const next = `${path}.new`;
  rmSync(next, { force: true });
  writeFileSync(next, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(next, path);
}

/** Undefined if there is no such file; `null` if it is not JSON. */
export function readJson(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

export function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isRemembered(value: unknown): value is Remembered {
  if (!isRecord(value) || !isRecord(value['postgres']) || !isRecord(value['kafka'])) return false;
  const { user, password } = value['postgres'];
  return typeof user === 'string' && typeof password === 'string' && typeof value['kafka']['clusterId'] === 'string';
}
