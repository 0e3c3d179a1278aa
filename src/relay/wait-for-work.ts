import { pause } from './pause.ts';
import type { Wakeup } from './ports.ts';

/**
 * Hints between claims. A hint is remembered from `begin` on, so that one that arrives while a claim runs (and that the claim
 * may have missed) makes the next `wait` return at once.
 */
export class WorkSignal {
  #hinted = false;
  #wake: (() => void) | null = null;
  readonly #unsubscribe: () => void;

  constructor(wakeup: Wakeup) {
    this.#unsubscribe = wakeup.subscribe(() => this.wake());
  }

  /** Whether something was hinted at since the last claim began. */
  get hinted(): boolean {
    return this.#hinted;
  }

  /** A hint from within: something else than a commit made work. */
  wake(): void {
    this.#hinted = true;
    this.#wake?.();
  }

  /** To be called before each claim: earlier hints are about what that claim will see. */
  begin(): void {
    this.#hinted = false;
  }

  /** Waits for a hint, `ms` milliseconds or the signal, whichever comes first. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#hinted || signal.aborted) return;
    const woken = new AbortController();
    const wake = () => woken.abort();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    await pause(ms, woken.signal);
    signal.removeEventListener('abort', wake);
    this.#wake = null;
  }

  close(): void {
    this.#unsubscribe();
  }
}
