import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { VARIABLES } from '../../src/variables.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const NODE = join(ROOT, 'node_modules', '.bin', 'node');
const MAIN = join(ROOT, 'src', 'bin', 'main.ts');

type Environment = Readonly<Record<string, string>>;

/** What a program that ran to its end said. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running `genesis start` (or api, relay) as a user would start it. */
export interface Instance {
  readonly child: ChildProcess;
  /** Everything it has said so far. */
  output(): string;
  /** Resolves when the output matches; rejects if it ends before. */
  says(pattern: RegExp): Promise<void>;
  /** Sends the signal and resolves with the exit code, or null if a signal ended it. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/** The environment of a child: whatever the test has (its coverage is measured by it) but nobody's settings of Genesis. */
function environment(env: Environment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !(name in VARIABLES));
  return { ...Object.fromEntries(inherited), ...env };
}

/** Runs `genesis …` to its end. */
export async function genesis(args: readonly string[], env: Environment): Promise<Finished> {
  return finish(spawn(NODE, [MAIN, ...args], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** Runs one of Kafka's own tools to its end. */
export async function kafkaTool(args: readonly string[], env: Environment): Promise<Finished> {
  const tool = join(ROOT, 'local', 'kafka', 'tool.ts');
  return finish(spawn(NODE, [tool, ...args], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] }));
}

async function finish(child: ReturnType<typeof spawn>): Promise<Finished> {
  if (child.stdout === null || child.stderr === null) throw new Error('the child was started without pipes');
  const closed = once(child, 'close');
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  return { code: child.exitCode, stdout, stderr };
}

/** Starts `genesis <command>` and resolves when it is ready to work. */
export async function startInstance(command: string, env: Environment): Promise<Instance> {
  const instance = launch(command, env);
  await instance.says(/ ready /u);
  return instance;
}

/** Starts `genesis <command>` and waits for nothing. */
export function launch(command: string, env: Environment): Instance {
  const child = spawn(NODE, [MAIN, command], { env: environment(env), stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (said += part));
  return {
    child,
    output: () => said,
    says: (pattern) => untilSaid(child, () => said, pattern),
    stop: async (signal) => {
      const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

function untilSaid(child: ChildProcess, said: () => string, pattern: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (!pattern.test(said())) return;
      child.off('exit', ended);
      child.stdout?.off('data', look);
      resolve();
    };
    const ended = () => reject(new Error(`it ended before it said ${pattern}:\n${said()}`));
    child.once('exit', ended);
    child.stdout?.on('data', look);
    look();
  });
}
