import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Wakeup } from '../relay/ports.ts';
import type { Service } from '../service.ts';
import type { Statement } from './pipeline.ts';
import { openWatchedConnection } from './watched-connection.ts';

const LISTEN = 'LISTEN genesis_outbox';
/** Between tries to listen again, in milliseconds: from half to all of it, so that many relays do not come at once. */
const RETRY_DELAY = 2_000;
/**
 * The other end: tells relays in other processes of a commit. It follows COMMIT in the same message, as a transaction of its own: inside
 * the one that writes it would serialise all commits, and by another connection it cost a command a tenth more. Nobody waits for the disk:
 * nothing of it has to last, and if it is lost the relay polls.
 */
export const NOTIFY_RELAYS: Statement = {
  name: 'notify-relays',
  text: "SELECT set_config('synchronous_commit', 'off', true), pg_notify('genesis_outbox', '')",
};

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
