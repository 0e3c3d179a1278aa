import { spawn, execFileSync } from 'node:child_process';
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { stripVTControlCharacters } from 'node:util';
import { errorCode } from './local-infrastructure-error.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** How to run something: as whom, where, with which environment. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Environment;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server of ours while it runs. */
export interface Child {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** Sends each signal in turn until the process has ended; waits `grace` ms after each. */
  end(steps: readonly EndStep[]): Promise<Exit>;
}

export interface EndStep {
  readonly signal: NodeJS.Signals;
  /** Milliseconds. */
  readonly grace: number;
}

const LOG_LIMIT = 10 * 1024 * 1024;

/** Starts a server that writes to a log file itself, so that its log survives us. */
export async function startServer(launch: Launch, logFile: string): Promise<Child> {
  const log = openLog(logFile);
  try {
    const child = spawn(launch.command, launch.args, { ...placement(launch), stdio: ['ignore', log, log] });
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      // Stays: a signal that can't be delivered is an error event too, and the exit tells what became of the child.
      child.on('error', reject);
    });
    const end = async (steps: readonly EndStep[]): Promise<Exit> => {
      for (const { signal, grace } of steps) {
        child.kill(signal);
        const exit = await within(exited, grace);
        if (exit !== undefined) return exit;
      }
      return exited;
    };
    return { pid: child.pid ?? 0, exited, end };
  } finally {
    closeSync(log);
  }
}

export interface ToolResult extends Exit {
  /** Both streams, at most the last 64 KiB. */
  readonly output: string;
}

const OUTPUT_LIMIT = 64 * 1024;

/**
 * Runs a program to its end. It gets a process group of its own, which `signal` kills: launchers like `mvn` are shell
 * scripts whose real work is in a child. Rejects with the signal's reason, or if the program can't be started.
 */
export async function runTool(launch: Launch, signal?: AbortSignal): Promise<ToolResult> {
  signal?.throwIfAborted();
  const child = spawn(launch.command, launch.args, {
    ...placement(launch),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const collect = (chunk: string): void => {
    output = (output + chunk).slice(-OUTPUT_LIMIT);
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  const abort = (): void => {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
  };
  signal?.addEventListener('abort', abort, { once: true });
  try {
    const exit = await new Promise<Exit>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, killedBy) => resolve({ code, signal: killedBy }));
    });
    signal?.throwIfAborted();
    return { ...exit, output: stripVTControlCharacters(output) };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/** Like runTool, but a program that isn't there is `undefined` instead of an error. */
export async function tryTool(launch: Launch, signal?: AbortSignal): Promise<ToolResult | undefined> {
  try {
    return await runTool(launch, signal);
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

function placement({ env, cwd, uid, gid }: Launch): {
  env: NodeJS.ProcessEnv;
  cwd: string;
  uid?: number;
  gid?: number;
} {
  return {
    env: { ...(env ?? process.env) },
    cwd: cwd ?? '/',
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended already.
  }
}

/** Appends; a log that has grown large becomes `….1` first, so two of them are the most that is kept. */
export function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

/** What was written to a log since `offset` (bytes), at most its last 64 KiB. */
export function readLog(path: string, offset: number): string {
  const file = openSync(path, 'r');
  try {
    const { size } = fstatSync(file);
    const from = Math.max(Math.min(offset, size), size - OUTPUT_LIMIT);
    const buffer = Buffer.alloc(size - from);
    readSync(file, buffer, 0, buffer.length, from);
    return buffer.toString('utf8');
  } finally {
    closeSync(file);
  }
}

export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** The last lines of something, for an error message. */
export function lastLines(text: string, count: number): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}

/** The promise's value, or undefined after so many milliseconds. */
export async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const timer = new AbortController();
  try {
    return await Promise.race([promise, sleep(milliseconds, undefined, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}

export interface RunningProcess {
  readonly pid: number;
  /** The command line; its arguments are parted by NUL where the system tells them apart, else by spaces. */
  readonly commandLine: string;
}

/** Every process of this machine that may be looked at. Ended ones that nobody has reaped are not among them. */
export function runningProcesses(): RunningProcess[] {
  return process.platform === 'linux' ? fromProc() : fromPs();
}

function fromProc(): RunningProcess[] {
  const found: RunningProcess[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const commandLine = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (commandLine !== '') found.push({ pid: Number(name), commandLine });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

function fromPs(): RunningProcess[] {
  const lines = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,args='], { encoding: 'utf8', maxBuffer: 64 << 20 });
  return lines.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(.*)$/.exec(line);
    return match === null ? [] : [{ pid: Number(match[1]), commandLine: match[2] ?? '' }];
  });
}

/** Whether the arguments stand in the command line one after the other. */
export function hasArguments(commandLine: string, args: readonly string[]): boolean {
  const separator = commandLine.includes('\0') ? '\0' : ' ';
  return `${separator}${commandLine}${separator}`.includes(`${separator}${args.join(separator)}${separator}`);
}

/** Whether a process with this id runs, whoever owns it; one that has ended but was not reaped does not. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
  return process.platform !== 'linux' || !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')')).startsWith(') Z');
  } catch {
    return true;
  }
}
