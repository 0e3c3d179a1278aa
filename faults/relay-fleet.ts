import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { VARIABLES } from '../src/variables.ts';

export interface FleetOptions {
  /** Folder of the program: `src/bin/main.ts` is in it. */
  readonly code: string;
  /** Where the logs go. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
}

const STOP_GRACE = 20_000;

/** A relay in a process of its own. Its supervisor starts it again at once whenever it ends without having been told to. */
export class RelayProcess {
  /** From 1. */
  readonly number: number;
  readonly log: string;
  readonly #options: FleetOptions;
  #child: ChildProcess | null = null;
  #stopping = false;
  /** Whether we have killed the process that runs now. */
  #killed = false;
  #startedAt = 0;
  #crashes = 0;

  constructor(number: number, options: FleetOptions) {
    this.number = number;
    this.log = join(options.folder, `relay-${number}.log`);
    this.#options = options;
    this.#launch();
    // However this process ends by itself, no relay runs on.
    process.once('exit', () => {
      this.#stopping = true;
      this.#child?.kill('SIGKILL');
    });
  }

  /** When the process that runs now was started, by the monotonic clock. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** How often it ended though nobody had killed it. */
  get crashes(): number {
    return this.#crashes;
  }

  /** SIGKILL, at this very moment; the supervisor starts it again. Resolves once the killed process has ended. */
  async kill(): Promise<void> {
    this.#killed = true;
    await this.#end('SIGKILL');
  }

  /** SIGSTOP. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  /** SIGCONT. */
  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** SIGTERM, for good; SIGKILL after 20 s. */
  async stop(): Promise<void> {
    this.#stopping = true;
    // One that is frozen takes no SIGTERM.
    this.thaw();
    await this.#end('SIGTERM');
  }

  /** Resident memory in MiB, 0 while it does not run. */
  memory(): number {
    const status = this.#proc('status');
    return Math.round(Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1] ?? 0) / 1024);
  }

  /** Seconds of CPU that the process which runs now has used: fields 14 and 15 of proc(5) stat, in ticks of 10 ms. */
  cpu(): number {
    const stat = this.#proc('stat');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / 100;
  }

  #launch(): void {
    const { code, env } = this.#options;
    const file = openSync(this.log, 'a');
    const args = [join(code, 'src', 'bin', 'main.ts'), 'relay'];
    const child = spawn(process.execPath, args, { cwd: code, env: environment(env), stdio: ['ignore', file, file] });
    closeSync(file);
    this.#child = child;
    this.#startedAt = performance.now();
    child.once('exit', () => {
      this.#child = null;
      if (this.#stopping) return;
      if (!this.#killed) this.#crashes += 1;
      this.#killed = false;
      this.#launch();
    });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
    await exited;
    clearTimeout(late);
  }

  #proc(file: string): string {
    try {
      return readFileSync(`/proc/${this.#child?.pid ?? 0}/${file}`, 'utf8');
    } catch {
      return '';
    }
  }
}

/** Relays of one run. */
export class RelayFleet {
  readonly #options: FleetOptions;
  readonly #relays: RelayProcess[] = [];

  constructor(options: FleetOptions) {
    this.#options = options;
  }

  /** @param env Differs from the fleet's. */
  start(env: Readonly<Record<string, string>> = {}): RelayProcess {
    const number = this.#relays.length + 1;
    const relay = new RelayProcess(number, { ...this.#options, env: { ...this.#options.env, ...env } });
    this.#relays.push(relay);
    return relay;
  }

  all(): readonly RelayProcess[] {
    return this.#relays;
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.#relays.map((relay) => relay.stop()));
  }
}

/** Nobody's settings of Genesis but ours. */
function environment(env: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in VARIABLES) && !name.startsWith('PG'));
  return { ...Object.fromEntries(inherited), ...env };
}
