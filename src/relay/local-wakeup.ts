import type { Wakeup } from './ports.ts';

/** A Wakeup for an API and a relay in one process. */
export interface LocalWakeup extends Wakeup {
  /** Tells all listeners. To be called after a commit, never before. */
  notify(): void;
}

export function createLocalWakeup(): LocalWakeup {
  const listeners = new Set<() => void>();
  return {
    notify() {
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
}
