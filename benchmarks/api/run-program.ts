import { spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs that the benchmark needs besides Node, and where they come from. */
const PACKAGES = { wrk: 'wrk', pgbench: 'postgresql-contrib' } as const;
export type Program = keyof typeof PACKAGES;

/** @throws Error that says what to install. */
export function pathOfProgram(name: Program): string {
  const folders = [
    // Before PATH: Debian's /usr/bin/pgbench is a Perl script that looks for the real one.
    ...globSync('/usr/lib/postgresql/*/bin').toSorted().toReversed(),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (found === undefined) throw new Error(`${name} is not installed: apt install ${PACKAGES[name]}`);
  return found;
}

/** Runs a program to its end; its standard output, then what it complained of. @throws Error if it failed. */
export async function runProgram(name: Program, args: readonly string[]): Promise<string> {
  const child = spawn(pathOfProgram(name), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  // Whoever ends the benchmark ends what it runs.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let output = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaints += chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  process.off('exit', kill);
  if (code !== 0) throw new Error(`${name} ended with ${code}:\n${complaints.slice(-2_000)}`);
  return output + complaints;
}
