import { setTimeout as sleep } from 'node:timers/promises';
import { LeaseLost, type HeldLease, type Lease } from '../relay/ports.ts';
import { createOutboxStore, type LeasedQuery } from './outbox-store.ts';
import { ConnectionLost, openWatchedConnection, type WatchedConnection } from './watched-connection.ts';

export interface RelayLeaseOptions {
  /** Milliseconds between a standby's tries to take over. Default 500. */
  readonly standbyInterval?: number;
  /** Called once per wait, when somebody else is found to hold the lease. */
  readonly onStandby?: () => void;
  /** Milliseconds without an answer after which the connection counts as lost. Default 10,000. */
  readonly callTimeout?: number;
  /** Milliseconds between heartbeats while nothing else is asked. Default 2,000. */
  readonly heartbeatInterval?: number;
}

/** The advisory lock "GENE", 0: the whole outbox. The second number is free for shards. Locks are per database. */
const TRY_LOCK = 'SELECT pg_try_advisory_lock(1195724357, 0) AS held';

/**
 * The lease as a session-level advisory lock on a connection of its own; claims and marks run on that connection, so losing it
 * loses both. The standby polls: a statement that waits for the lock would hold back vacuum for as long as it waits.
 */
export function createRelayLease(databaseUrl: string, options: RelayLeaseOptions = {}): Lease {
  const { standbyInterval = 500, callTimeout = 10_000, heartbeatInterval = 2_000 } = options;
  return {
    async acquire(signal) {
      const connection = await openWatchedConnection(databaseUrl, {
        applicationName: 'genesis-relay',
        callTimeout,
        heartbeatInterval,
        signal,
      });
      // A database that does not answer must not keep who wants to stop.
      const giveUp = () => connection.close();
      signal.addEventListener('abort', giveUp, { once: true });
      try {
        signal.throwIfAborted();
        await takeLock(connection, { interval: standbyInterval, onStandby: options.onStandby }, signal);
      } catch (error) {
        connection.close();
        signal.throwIfAborted();
        throw error;
      } finally {
        signal.removeEventListener('abort', giveUp);
      }
      return hold(connection);
    },
  };
}

interface Standby {
  readonly interval: number;
  readonly onStandby: (() => void) | undefined;
}

async function takeLock(
  connection: WatchedConnection,
  { interval, onStandby }: Standby,
  signal: AbortSignal,
): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const [row] = await connection.query<{ held: boolean }>(TRY_LOCK, []);
    if (row?.held === true) return;
    if (tries === 0) onStandby?.();
    await sleep(interval, undefined, { signal });
    signal.throwIfAborted();
  }
}

function hold(connection: WatchedConnection): HeldLease {
  return {
    store: createOutboxStore(leasedQuery(connection)),
    lost: connection.lost,
    async release() {
      connection.close();
      return Promise.resolve();
    },
  };
}

function leasedQuery(connection: WatchedConnection): LeasedQuery {
  return async <Row>(text: string, values: readonly unknown[]) => {
    try {
      return await connection.query<Row>(text, values);
    } catch (error) {
      if (error instanceof ConnectionLost) throw new LeaseLost('the lease is gone', { cause: error.cause });
      throw error;
    }
  };
}
