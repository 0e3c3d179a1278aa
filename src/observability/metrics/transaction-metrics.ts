import { Counter, Gauge } from 'prom-client';
import {
  TransactionConflict,
  type CommandStore,
  type CommandTransaction,
  type LockedSessions,
} from '../../commands/ports.ts';
import { GenesisError } from '../../errors.ts';
import { DURATIONS, SIZES } from './buckets.ts';
import { histogram, histogramFamily } from './distribution.ts';
import type { Metrics } from './metrics.ts';

/** Why the database asked for a transaction to be tried again. */
export type ConflictKind = 'lock_timeout' | 'deadlock' | 'serialization';
const CONFLICTS: readonly ConflictKind[] = ['lock_timeout', 'deadlock', 'serialization'];

/** Commands that wait for their transaction. */
export interface Queue {
  readonly waiting: number;
}

/** How commands share transactions. */
export function batchMetrics(metrics: Metrics) {
  const { registry } = metrics;
  const sizes = histogram(registry, {
    name: 'genesis_command_batch_size',
    help: 'Commands that shared one transaction',
    buckets: SIZES,
  });
  const waits = histogram(registry, {
    name: 'genesis_command_queue_wait_seconds',
    help: "From a command to the transaction that takes it, what it has waited at a full queue's door included; once for each transaction, if it was put off",
    buckets: DURATIONS,
  });
  const depth = new Gauge({
    name: 'genesis_command_queue_depth',
    help: 'Commands that wait for a transaction',
    registers: [registry],
  });
  return {
    /** @param waited Milliseconds that each command of the batch has waited. */
    batch: (waited: readonly number[]): void => {
      sizes.observe(waited.length);
      for (const milliseconds of waited) waits.observe(milliseconds / 1_000);
    },
    watch(queue: Queue): void {
      metrics.onScrape(() => depth.set(queue.waiting));
    },
  };
}

export type TransactionMetrics = ReturnType<typeof transactionMetrics>;

/** How long transactions of commands take, and what they wait for. */
export function transactionMetrics({ registry }: Metrics, conflictKind: (error: TransactionConflict) => ConflictKind) {
  const registers = [registry];
  const durations = histogramFamily(registry, {
    name: 'genesis_command_transaction_duration_seconds',
    help: 'Transactions of commands, the wait for a connection included, by how they ended',
    labels: ['outcome'],
    buckets: DURATIONS,
  });
  const skipped = new Counter({
    name: 'genesis_command_locks_skipped_total',
    help: 'Sessions and Idempotency-Keys that somebody else had locked: their commands were put off',
    labelNames: ['kind'],
    registers,
  });
  const conflicts = new Counter({
    name: 'genesis_command_conflicts_total',
    help: 'Transactions that the database asked to try again, by why',
    labelNames: ['kind'],
    registers,
  });
  for (const kind of CONFLICTS) conflicts.inc({ kind }, 0);
  for (const kind of ['session', 'key']) skipped.inc({ kind }, 0);
  const ended = (began: number, outcome: string): void =>
    durations.of(outcome).observe((performance.now() - began) / 1_000);
  return {
    locked({ busy, busyKeys = [] }: LockedSessions): void {
      if (busy.length > 0) skipped.inc({ kind: 'session' }, busy.length);
      if (busyKeys.length > 0) skipped.inc({ kind: 'key' }, busyKeys.length);
    },
    committed: (began: number): void => ended(began, 'committed'),
    failed(began: number, error: unknown): void {
      ended(began, outcomeOf(error));
      if (error instanceof TransactionConflict) conflicts.inc({ kind: conflictKind(error) });
    },
  };
}

function outcomeOf(error: unknown): string {
  if (error instanceof TransactionConflict) return 'conflict';
  if (!(error instanceof GenesisError)) return 'failed';
  return error.code === 'OUTCOME_UNKNOWN' ? 'unknown' : 'unavailable';
}

/** The same store, and what its transactions come to is measured. */
export function measuredCommandStore(store: CommandStore, meter: TransactionMetrics): CommandStore {
  return {
    async transaction(work, timeLimit) {
      const began = performance.now();
      try {
        const result = await store.transaction((transaction) => work(measured(transaction, meter)), timeLimit);
        meter.committed(began);
        return result;
      } catch (error) {
        meter.failed(began, error);
        throw error;
      }
    },
  };
}

function measured(transaction: CommandTransaction, meter: TransactionMetrics): CommandTransaction {
  return {
    async lock(sessionIds, createKeys) {
      const locked = await transaction.lock(sessionIds, createKeys);
      meter.locked(locked);
      return locked;
    },
    readInbox: (query) => transaction.readInbox(query),
    write: (rows) => transaction.write(rows),
  };
}
