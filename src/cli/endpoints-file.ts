import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a running instance can be reached. */
export interface Endpoints {
  /** http://host:port; null for an instance without API. */
  readonly api: string | null;
  /** postgres://… of the database of Genesis. */
  readonly postgres: string;
  /** host:port of each broker. */
  readonly kafka: readonly string[];
}

interface EndpointsFile extends Endpoints {
  readonly pid: number;
}

const fileIn = (dataDir: string) => join(dataDir, 'endpoints.json');

/** Leaves word where this process can be reached. Only its owner may read it: the address of the database holds a password. */
export async function writeEndpoints(dataDir: string, endpoints: Endpoints): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  const file = fileIn(dataDir);
  const content: EndpointsFile = { ...endpoints, pid: process.pid };
  // Written beside and moved: whoever reads sees all or nothing.
  await writeFile(`${file}.${process.pid}`, JSON.stringify(content), { mode: 0o600 });
  await rename(`${file}.${process.pid}`, file);
}

export async function removeEndpoints(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
}

/** The instance that runs with this data folder; null if none does (a file of one that was killed counts for nothing). */
export async function readEndpoints(dataDir: string): Promise<Endpoints | null> {
  try {
    const { pid, api, postgres, kafka } = JSON.parse(await readFile(fileIn(dataDir), 'utf8')) as EndpointsFile;
    return isAlive(pid) ? { api, postgres, kafka } : null;
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It lives, but belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
