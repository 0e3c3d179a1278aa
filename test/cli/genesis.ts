import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';

const MAIN = new URL('../../src/bin/main.ts', import.meta.url).pathname;

export interface Output {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the program as a child until it ends. */
export async function genesis(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Output> {
  const child = startGenesis(env, ...args);
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, out, err };
}

/** Starts the program as a child. */
export function startGenesis(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
