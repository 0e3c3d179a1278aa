import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDevelopmentToken } from '../../src/http/development-token.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import type { Closing } from '../closing.ts';
import { openPostgres } from '../servers.ts';
import { startApi, type ApiProcess } from './api-process.ts';

/** What all measurements stand on: a server with a database for the API and one for its reference, and the API. */
export interface Stage {
  readonly folder: string;
  readonly postmaster: number;
  readonly databaseUrl: string;
  readonly referenceUrl: string;
  readonly api: ApiProcess;
  /** A file with a line for each session: its id and a token of its author. */
  readonly sessionsFile: string;
}

export interface StageOptions {
  readonly folder: string;
  /** Sessions; each has an author and a token of its own. */
  readonly sessions: number;
  readonly env: Readonly<Record<string, string>>;
  readonly nodeOptions: readonly string[];
}

const SECONDS_OF_TOKENS = 86_400;
const CREATED_AT_ONCE = 64;

export async function openStage(closing: Closing, options: StageOptions): Promise<Stage> {
  const { folder, sessions, env, nodeOptions } = options;
  const postgres = await openPostgres(closing, folder);
  const databaseUrl = await postgres.createDatabase('api');
  const referenceUrl = await postgres.createDatabase('reference');
  await migrate(databaseUrl);
  await migrate(referenceUrl);
  const secret = randomBytes(32).toString('hex');
  const own = join(folder, 'api');
  mkdirSync(own);
  const api = await closing.open(
    () => startApi({ databaseUrl, folder: own, secret, env, nodeOptions }),
    (running) => running.stop(),
  );
  const sessionsFile = join(folder, 'sessions.tsv');
  writeFileSync(sessionsFile, (await createSessions(api.address, secret, sessions)).join('\n'));
  return {
    folder,
    postmaster: postgres.pid(),
    databaseUrl,
    referenceUrl,
    api,
    sessionsFile,
  };
}

/** Each with an author of its own: gives a line for each, its id and a token of its author. */
export async function createSessions(address: string, secret: string, count: number): Promise<readonly string[]> {
  const lines: string[] = [];
  const numbers = Array.from({ length: count }, (_, index) => index).values();
  const client = async (): Promise<void> => {
    for (const number of numbers) {
      const token = await createDevelopmentToken({
        secret,
        user: `author-${number}`,
        roles: ['author'],
        expiresIn: SECONDS_OF_TOKENS,
      });
      lines.push(`${await createSession(address, token)}\t${token}`);
    }
  };
  await Promise.all(Array.from({ length: CREATED_AT_ONCE }, client));
  return lines;
}

async function createSession(address: string, token: string): Promise<string> {
  const response = await fetch(`${address}/api/v1/genesis/sessions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'The tide', idea: 'A city that the sea takes back street by street.' }),
  });
  if (response.status !== 201) throw new Error(`no session: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { session_id: string }).session_id;
}
