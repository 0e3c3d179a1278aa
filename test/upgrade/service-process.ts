import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { HERE } from './unpack-version.ts';
import { VARIABLES } from '../../src/variables.ts';

export type Environment = Readonly<Record<string, string>>;

/** A program in a folder, and what to call it. */
export interface Version {
  readonly name: string;
  readonly folder: string;
}

const NODE = join(HERE, 'node_modules', '.bin', 'node');
/** Milliseconds that a start may take on a busy machine, and that a stop may take before it counts as hanging. */
const START_LIMIT = 120_000;
const STOP_LIMIT = 20_000;

/** `genesis api` or `genesis relay` of one version, in a process of its own. */
export class ServiceProcess {
  readonly version: Version;
  readonly #child: ChildProcess;
  #said = '';

  private constructor(version: Version, command: string, env: Environment) {
    this.version = version;
    this.#child = spawn(NODE, [mainOf(version), command], {
      cwd: version.folder,
      env: environment(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (part: string) => (this.#said += part));
  }

  /** Resolves once it is ready to work. @throws with what it said, when it ends before or says nothing in time */
  static async start(version: Version, command: 'api' | 'relay', env: Environment): Promise<ServiceProcess> {
    const service = new ServiceProcess(version, command, env);
    try {
      await service.#until(/"msg":"ready"/u);
      return service;
    } catch (error) {
      await service.stop('SIGKILL');
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Of an API: where it listens, as its log says. */
  address(): string {
    const [, address] = /"api":"(http[^"]+)"/u.exec(this.#said) ?? [];
    if (address === undefined) throw new Error(`no address in what it said:\n${this.#said}`);
    return address;
  }

  /** Lines of its log with level error or worse. */
  errors(): readonly string[] {
    return this.#said.split('\n').filter((line) => /"level":"?(?:error|fatal|ERROR|FATAL|50|60)/u.test(line));
  }

  /** The exit code; null: a signal ended it. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (!this.running) return this.#child.exitCode;
    const exited = once(this.#child, 'exit');
    this.#child.kill(signal);
    const late = setTimeout(() => this.#child.kill('SIGKILL'), STOP_LIMIT);
    await exited;
    clearTimeout(late);
    return this.#child.exitCode;
  }

  #until(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const over = (why: string) => () => {
        clearTimeout(late);
        reject(new Error(`${this.version.name} ${why}:\n${this.#said}`));
      };
      const late = setTimeout(over('did not become ready in time'), START_LIMIT);
      this.#child.once('exit', over('ended before it was ready'));
      this.#child.stdout?.on('data', () => {
        if (!pattern.test(this.#said)) return;
        clearTimeout(late);
        resolve();
      });
    });
  }
}

/** Runs `genesis …` of one version to its end. */
export async function runToEnd(
  version: Version,
  args: readonly string[],
  env: Environment,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(NODE, [mainOf(version), ...args], {
    cwd: version.folder,
    env: environment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  const parts = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, output: parts.join('') };
}

function mainOf({ folder }: Version): string {
  return join(folder, 'src', 'bin', 'main.ts');
}

/** Nobody's settings of Genesis but ours. */
function environment(env: Environment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in VARIABLES) && !name.startsWith('PG'));
  return { ...Object.fromEntries(inherited), ...env };
}
