import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOPBACK } from '../../local/ports.ts';
import { startServer, type Child } from '../../local/processes.ts';
import { VARIABLES } from '../../src/variables.ts';
import { until } from '../until.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const MAIN = join(ROOT, 'src', 'bin', 'main.ts');
const END = [
  { signal: 'SIGTERM', grace: 15_000 },
  { signal: 'SIGKILL', grace: 5_000 },
] as const;
const HARD_END = [{ signal: 'SIGKILL', grace: 5_000 }] as const;

export interface ProgramOptions {
  /** Of the log. */
  readonly name: string;
  /** What comes after `genesis`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where it answers /livez. */
  readonly port: number;
  /** Where the log goes. */
  readonly folder: string;
}

/** One process of Genesis that answers on a port, and may be killed, frozen and started again. */
export class Program {
  readonly port: number;
  readonly #options: ProgramOptions;
  #child: Child | null = null;
  #stuttering: { stopping: boolean; ended: Promise<void> } | null = null;

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.port = options.port;
  }

  get address(): string {
    return `${LOOPBACK}:${this.port}`;
  }

  /** Resolves once it answers. @param more Differs from its environment, and from its arguments. */
  async start(more: { readonly env?: Readonly<Record<string, string>>; readonly args?: readonly string[] } = {}) {
    const { name, args, env, folder } = this.#options;
    const launch = {
      command: process.execPath,
      args: [MAIN, ...args, ...(more.args ?? [])],
      env: environment({ ...env, ...more.env }),
      cwd: ROOT,
    };
    this.#child = await startServer(launch, join(folder, `${name}.log`));
    await until(`${name} that answers`, async () => (await fetch(`http://${this.address}/livez`)).ok);
  }

  /** SIGTERM, and SIGKILL after 15 s. */
  async stop(): Promise<void> {
    await this.calm();
    await this.#end(END);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#end(HARD_END);
  }

  /** From now on it is frozen for `frozen` milliseconds again and again, and runs for `running` between. Until `calm`. */
  stutter(frozen: number, running: number): void {
    const { pid = 0 } = this.#child ?? {};
    this.#stuttering = startStutter(pid, frozen, running);
  }

  async calm(): Promise<void> {
    if (this.#stuttering === null) return;
    this.#stuttering.stopping = true;
    await this.#stuttering.ended;
    this.#stuttering = null;
  }

  async #end(steps: typeof END | typeof HARD_END): Promise<void> {
    const child = this.#child;
    this.#child = null;
    await child?.end(steps);
  }
}

/** Freezes a process again and again, until `stopping` is set. */
export function startStutter(pid: number, frozen: number, running: number) {
  const state = { stopping: false, ended: Promise.resolve() };
  const run = async (): Promise<void> => {
    while (!state.stopping) {
      process.kill(pid, 'SIGSTOP');
      await sleep(frozen);
      process.kill(pid, 'SIGCONT');
      await sleep(running);
    }
  };
  state.ended = run();
  return state;
}

/** Nobody's settings of Genesis but ours. */
export function environment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in VARIABLES) && !name.startsWith('PG'));
  return { ...Object.fromEntries(inherited), ...env };
}
