import { Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** What a pool of connections tells of itself. */
export interface ConnectionPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly options: { readonly max: number };
}

/** The state of pools of database connections. Gives a function that adds one; the last of a name counts. */
export function poolMetrics(metrics: Metrics): (name: string, pool: ConnectionPool) => void {
  const registers = [metrics.registry];
  const connections = new Gauge({
    name: 'genesis_database_pool_connections',
    help: 'Open connections of a pool, idle or in use',
    labelNames: ['pool', 'state'],
    registers,
  });
  const most = new Gauge({
    name: 'genesis_database_pool_max_connections',
    help: 'Connections that a pool may open',
    labelNames: ['pool'],
    registers,
  });
  const waiting = new Gauge({
    name: 'genesis_database_pool_waiting_requests',
    help: 'Requests that wait for a connection of a pool',
    labelNames: ['pool'],
    registers,
  });
  const pools = new Map<string, ConnectionPool>();
  metrics.onScrape(() => {
    for (const [name, { totalCount, idleCount, waitingCount, options }] of pools) {
      connections.set({ pool: name, state: 'idle' }, idleCount);
      connections.set({ pool: name, state: 'in_use' }, totalCount - idleCount);
      most.set({ pool: name }, options.max);
      waiting.set({ pool: name }, waitingCount);
    }
  });
  return (name, pool) => pools.set(name, pool);
}
