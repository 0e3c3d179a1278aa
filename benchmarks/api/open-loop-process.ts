import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { OpenLoopFigures, OpenLoopPlan } from './open-loop-load.ts';

export interface GeneratorPlan extends Omit<OpenLoopPlan, 'requests'> {
  /** Lines of "session<TAB>token": each request is for the next session, by its author. */
  readonly sessionsFile: string;
  /** Of every request. */
  readonly body: string;
}

/** begin: once it has said that it is ready. */
export type ToGenerator = { readonly type: 'plan'; readonly plan: GeneratorPlan } | { readonly type: 'begin' };
export type FromGenerator =
  | { readonly type: 'ready' }
  | { readonly type: 'figures'; readonly figures: OpenLoopFigures }
  | { readonly type: 'failed'; readonly reason: string };

/** A load generator that is connected, and waits to begin. */
export interface Generator {
  /** Resolves when all is sent, and answered or given up. */
  run(): Promise<OpenLoopFigures>;
  /** Ends it, in whatever state it is. */
  stop(): Promise<void>;
}

const MODULE = join(import.meta.dirname, 'open-loop-generator.ts');

/** @throws Error if it cannot connect */
export async function startGenerator(plan: GeneratorPlan): Promise<Generator> {
  const child = fork(MODULE, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const generator: Generator = {
    async run() {
      const answer = await ask(child, { type: 'begin' });
      if (answer.type !== 'figures') throw new Error('the load generator told no figures');
      return answer.figures;
    },
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
  try {
    await ask(child, { type: 'plan', plan });
    return generator;
  } catch (error) {
    await generator.stop();
    throw error;
  }
}

function ask(child: ChildProcess, message: ToGenerator): Promise<FromGenerator> {
  return new Promise((resolve, reject) => {
    const failed = (reason: string): void => reject(new Error(`the load generator failed: ${reason}`));
    const ended = (code: number | null, signal: string | null): void => failed(`it ended with ${code ?? signal}`);
    child.once('exit', ended);
    child.once('message', (answer) => {
      child.off('exit', ended);
      const told = answer as FromGenerator;
      if (told.type === 'failed') failed(told.reason);
      else resolve(told);
    });
    child.send(message, (error) => {
      if (error !== null) failed(error.message);
    });
  });
}
