import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** What a tool prints may be a whole log. */
const MOST_OUTPUT = 64 * 1024 * 1024;

/**
 * Runs a tool to its end and gives what it printed on standard output.
 * @param limit Milliseconds after which it is ended, and has failed.
 * @throws Error with the tool's last words if it fails
 */
export async function runTool(
  command: string,
  args: readonly string[],
  { limit = 120_000, env = {} }: { limit?: number; env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  try {
    const { stdout } = await execute(command, args, {
      timeout: limit,
      maxBuffer: MOST_OUTPUT,
      env: { ...process.env, ...env },
    });
    return stdout;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Error(`${command} ${args.join(' ')} failed:\n${said.split('\n').slice(-15).join('\n')}`, {
      cause: error,
    });
  }
}

/**
 * Waits until `look` finds something.
 * @param limit Milliseconds after which it is given up.
 * @throws Error that names what was waited for, with the error of the last look if it had one
 */
export async function until<T>(what: string, look: () => Promise<T | null>, limit = 60_000): Promise<T> {
  const deadline = performance.now() + limit;
  let last: unknown = null;
  for (;;) {
    try {
      const found = await look();
      if (found !== null) return found;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `${what}: not within ${limit / 1000} s${last instanceof Error ? `; last: ${last.message}` : ''}`,
        {
          cause: last,
        },
      );
    }
    await delay(200);
  }
}

/** Fails with `what` unless `holds`. */
export function assure(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
