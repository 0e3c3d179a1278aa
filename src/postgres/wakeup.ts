import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Wakeup } from '../relay/ports.ts';
import type { Service } from '../service.ts';
import type { Read } from './read.ts';
import { openWatchedConnection } from './watched-connection.ts';

const LISTEN = 'LISTEN genesis_outbox';
const NOTIFY = { name: 'notify-outbox', text: "SELECT pg_notify('genesis_outbox', '')" };
/** Between tries to listen again, in milliseconds: from half to all of it, so that many relays do not come at once. */
const RETRY_DELAY = 2_000;
/**
 * Shortest time between two notifications of one process, in milliseconds: one wakes a relay for all commits so far. With 2 ms
 * the median from commit to consumer was 1.3 ms higher at 1,000 events/s; under load a transaction takes longer than either.
 */
const NOTIFY_GAP_MS = 1;

/** A Wakeup for a relay whose API runs in another process: listens on a connection of its own. */
export class DatabaseWakeup implements Wakeup, Service {
  readonly name = 'wakeup';
  readonly #url: string;
  readonly #logger: Logger;
  readonly #listeners = new Set<() => void>();
  #life: { readonly stopping: AbortController; readonly ended: Promise<void> } | null = null;

  constructor(databaseUrl: string, logger: Logger) {
    this.#url = databaseUrl;
    this.#logger = logger;
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Resolves at once: without a connection the relay polls. */
  async start(): Promise<void> {
    if (this.#life !== null) return;
    const stopping = new AbortController();
    this.#life = { stopping, ended: this.#run(stopping.signal) };
  }

  async stop(): Promise<void> {
    const life = this.#life;
    this.#life = null;
    life?.stopping.abort();
    await life?.ended;
  }

  async #run(stopping: AbortSignal): Promise<void> {
    let listening = true;
    while (!stopping.aborted) {
      try {
        await this.#listen(stopping, () => (listening = true));
      } catch (error) {
        if (stopping.aborted) return;
        if (listening) this.#logger.warn({ error: String(error) }, 'no wake-ups from the database: the relay polls');
        listening = false;
        const delay = RETRY_DELAY * (0.5 + Math.random() / 2);
        await sleep(delay, undefined, { signal: stopping }).catch(() => {});
      }
    }
  }

  /** Resolves at a stop; rejects when the connection cannot be had or is lost. */
  async #listen(stopping: AbortSignal, onListening: () => void): Promise<void> {
    const connection = await openWatchedConnection(this.#url, {
      applicationName: 'genesis-wakeup',
      callTimeout: 10_000,
      heartbeatInterval: 5_000,
      onNotification: () => this.#wake(),
      signal: stopping,
    });
    const giveUp = () => connection.close();
    stopping.addEventListener('abort', giveUp, { once: true });
    try {
      await connection.query(LISTEN, []);
      onListening();
      // What was committed while nobody listened.
      this.#wake();
      await untilAborted(stopping, connection.lost);
    } finally {
      stopping.removeEventListener('abort', giveUp);
      connection.close();
    }
    if (!stopping.aborted) throw connection.lost.reason;
  }

  #wake(): void {
    for (const listener of this.#listeners) listener();
  }
}

async function untilAborted(...signals: readonly AbortSignal[]): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    }
  });
}

/**
 * The other end: what a process calls after each commit unless its own relay holds all shards. Notifies at once, and then at
 * most every NOTIFY_GAP_MS, in a statement of its own: inside the write transaction it would serialise all commits. A notification that
 * cannot be sent is only logged, for the relay polls.
 */
export function createCommitNotifier(read: Read, logger: Logger): () => void {
  let busy = false;
  let again = false;
  const notify = async () => {
    busy = true;
    do {
      again = false;
      try {
        await read(NOTIFY, []);
      } catch (error) {
        logger.debug({ error: String(error) }, 'a wake-up could not be sent');
      }
      await sleep(NOTIFY_GAP_MS, undefined, { ref: false });
    } while (again);
    busy = false;
  };
  return () => {
    again = true;
    if (!busy) void notify();
  };
}
