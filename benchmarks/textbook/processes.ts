import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** A process of the textbook service. */
export interface TextbookProcess {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly said: string;
  /** SIGTERM; resolves once it has ended. */
  stop(): Promise<void>;
}

/** @throws Error when it ends before it is ready */
export async function startTextbook(
  part: 'service' | 'relay',
  env: Readonly<Record<string, string>>,
): Promise<TextbookProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, `${part}.ts`)], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const said = await new Promise<string>((resolve, reject) => {
    child.stdout.setEncoding('utf8').once('data', (line: string) => resolve(line.trim()));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the textbook ${part} ended with ${code} before it was ready`)));
  });
  return {
    pid: child.pid ?? 0,
    said,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      process.off('exit', kill);
    },
  };
}
