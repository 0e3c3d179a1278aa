import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What a benchmark has started, to be ended in reverse order. */
export class Closing {
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #starting = new Set<Promise<unknown>>();
  #over = false;

  /** Starts something that `end` ends. @throws what `start` throws; Error when the benchmark is over */
  async open<Thing>(start: () => Promise<Thing>, end: (thing: Thing) => Promise<unknown>): Promise<Thing> {
    if (this.#over) throw new Error('the benchmark is over: nothing more is started');
    const started = start().then((thing) => {
      this.#ends.push(() => end(thing));
      return thing;
    });
    this.#starting.add(started);
    try {
      return await started;
    } finally {
      this.#starting.delete(started);
    }
  }

  /** Ends everything, also what is being started right now. What cannot be ended keeps nothing else from it. */
  async end(): Promise<void> {
    this.#over = true;
    await Promise.allSettled(this.#starting);
    for (const end of this.#ends.splice(0).toReversed()) {
      await end().catch((error: unknown) => console.error('while ending:', error));
    }
  }
}

/** As shells tell a program that a signal has ended. */
const INTERRUPTED = 130;

/**
 * Runs a benchmark in a folder of its own. However it ends (by itself, by an error, by Ctrl-C or SIGTERM), what it has opened ends
 * before it, and the folder is removed. @throws what `work` throws
 */
export async function runClosing(work: (closing: Closing, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'genesis-bench-'));
  const closing = new Closing();
  const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<'interrupted'>();
  const onSignal = (): void => interrupt('interrupted');
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, onSignal);
  let outcome: unknown;
  try {
    outcome = await Promise.race([work(closing, folder), interrupted]);
  } finally {
    await closing.end();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
  // The work that was left in the middle may have a program running yet: it ends with this process.
  if (outcome === 'interrupted') process.exit(INTERRUPTED);
}
