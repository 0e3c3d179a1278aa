import { Counter, Gauge, type Registry } from 'prom-client';
import type { RelayState, RelayStatus } from '../../relay/relay-status.ts';
import { OWNED_SHARD_STATES, setState } from './shard-states.ts';

const STATES: readonly RelayState[] = ['standby', 'draining', 'idle', 'stalled', 'stopped'];

/** What a relay says of itself when it is asked. Gives the function that is told. */
export function relayStatusMetrics(registry: Registry): (status: RelayStatus) => void {
  const gauges = gaugesOf(registry);
  const counters = countersOf(registry);
  return (status) => {
    setState(STATES, status.state, (state, value) => gauges.state.set({ state }, value));
    gauges.circuit.set(status.state === 'stalled' ? 1 : 0);
    gauges.refused.set(status.refused === null ? 0 : 1);
    gauges.held.set(status.shards.length);
    gauges.info.set({ delivery: status.delivery }, 1);
    if (status.lastProgressAt !== null) gauges.progress.set(status.lastProgressAt / 1_000);
    gauges.shards.reset();
    for (const { shard, state: current } of status.shards) {
      setState(OWNED_SHARD_STATES, current, (state, value) => gauges.shards.set({ shard, state }, value));
    }
    for (const { counter, value } of counters) {
      counter.reset();
      counter.inc(value(status));
    }
  };
}

function gaugesOf(registry: Registry) {
  const registers = [registry];
  return {
    info: new Gauge({
      name: 'genesis_relay_info',
      help: 'Always 1: what this relay promises of copies',
      labelNames: ['delivery'],
      registers,
    }),
    state: new Gauge({
      name: 'genesis_relay_state',
      help: '1 for the state that this relay is in, 0 for the others; docs/relay.md draws them',
      labelNames: ['state'],
      registers,
    }),
    circuit: new Gauge({
      name: 'genesis_relay_circuit_open',
      help: '1 while the broker takes nothing and this relay waits for it',
      registers,
    }),
    refused: new Gauge({
      name: 'genesis_relay_refused',
      help: '1 while this relay may not join, because relays with another RELAY_DELIVERY are at work',
      registers,
    }),
    held: new Gauge({ name: 'genesis_relay_leases_held', help: 'Shards whose lease this relay holds', registers }),
    progress: new Gauge({
      name: 'genesis_relay_last_progress_timestamp_seconds',
      help: 'When this relay last marked an event as published, in seconds since the epoch; 0 before the first',
      registers,
    }),
    shards: new Gauge({
      name: 'genesis_relay_shard_state',
      help: 'Of each shard that this relay holds: 1 for the state that it is in, 0 for the others',
      labelNames: ['shard', 'state'],
      registers,
    }),
  };
}

function countersOf(registry: Registry) {
  const counter = (name: string, help: string, value: (status: RelayStatus) => number) => {
    return { counter: new Counter({ name, help, registers: [registry] }), value };
  };
  return [
    counter(
      'genesis_relay_published_total',
      'Events that this relay has marked as published',
      ({ published }) => published,
    ),
    counter(
      'genesis_relay_found_published_total',
      'Of these, found in the topic when its end was read back, and not sent a second time: copies that were avoided',
      ({ found }) => found,
    ),
    counter(
      'genesis_relay_retries_total',
      'Refusals by the broker after which another try was scheduled',
      ({ retried }) => retried,
    ),
    counter('genesis_relay_failed_total', 'Events that the broker has refused for good', ({ failed }) => failed),
  ];
}
