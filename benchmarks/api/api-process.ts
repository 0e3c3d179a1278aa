import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { VARIABLES } from '../../src/variables.ts';

export interface ApiProcess {
  readonly address: string;
  readonly pid: number;
  /** SIGTERM; resolves once it has ended. */
  stop(): Promise<void>;
}

export interface ApiOptions {
  readonly databaseUrl: string;
  /** Where its log and its data go. */
  readonly folder: string;
  readonly secret: string;
  readonly env: Readonly<Record<string, string>>;
  /** Options for Node itself. */
  readonly nodeOptions: readonly string[];
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'bin', 'main.ts');

/** Starts the API by its own command, in a process of its own. */
export async function startApi({ databaseUrl, folder, secret, env, nodeOptions }: ApiOptions): Promise<ApiProcess> {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in VARIABLES) && !name.startsWith('PG'));
  const own = {
    SERVICE_TYPE: 'api-gateway',
    DATABASE_URL: databaseUrl,
    // It is never asked: the API does not speak with Kafka.
    KAFKA_BROKERS: '127.0.0.1:9',
    JWT_SECRET: secret,
    RATE_LIMIT_PER_USER: '0',
    PORT: '0',
    LOCAL_DATA_DIR: folder,
  };
  const child = spawn(process.execPath, [...nodeOptions, MAIN, 'start'], {
    cwd: folder,
    env: { ...Object.fromEntries(inherited), ...own, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const address = await addressOf(child, join(folder, 'api.log'));
  return {
    address,
    pid: child.pid ?? 0,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      process.off('exit', kill);
    },
  };
}

function addressOf(child: ChildProcess, log: string): Promise<string> {
  const file = createWriteStream(log);
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      file.write(chunk);
      if (text.length > 65_536) return;
      text += chunk;
      const address = /"api":"(http:[^"]+)"/u.exec(text)?.[1];
      if (address !== undefined) resolve(address);
    });
    child.once('exit', (code) => reject(new Error(`the API ended with ${code}: ${text.slice(-1_000)}`)));
  });
}
