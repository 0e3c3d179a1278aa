import { Counter, Gauge, type Registry } from 'prom-client';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { DURATIONS } from './buckets.ts';
import { histogramFamily } from './distribution.ts';
import type { Metrics } from './metrics.ts';

/** Others count as one: who sends requests must not be able to make series. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** For what is refused before its command is known. */
const UNKNOWN = 'unknown';
const FAILURES = Object.entries(ERRORS).flatMap(([code, { status }]) => (status >= 500 ? [code] : []));

/** How long requests take, and what commands come to. */
export function httpMetrics(metrics: Metrics, commandTypes: readonly string[]) {
  const { registry } = metrics;
  const registers = [registry];
  const durations = histogramFamily(registry, {
    name: 'genesis_http_request_duration_seconds',
    help: 'From the arrival of a request to the end of its answer; event streams, and what a client did not wait for, are not counted',
    labels: ['route', 'method', 'status'],
    buckets: DURATIONS,
  });
  const atTheDoor = new Gauge({
    name: 'genesis_command_door_depth',
    help: 'Commands that wait, not yet looked at, because the queue is full',
    registers,
  });
  const { accepted, replayed, refused, failed } = commandCounters(registers, commandTypes);
  const children = {
    accepted: new Map(commandTypes.map((type) => [type, accepted.labels(type)])),
    replayed: new Map(commandTypes.map((type) => [type, replayed.labels(type)])),
  };
  return {
    answered(method: string, route: string | null, status: string, milliseconds: number): void {
      durations.of(route ?? 'none', METHODS.has(method) ? method : 'other', status).observe(milliseconds / 1_000);
    },
    accepted(type: string, wasReplayed: boolean): void {
      (wasReplayed ? children.replayed : children.accepted).get(type)?.inc();
    },
    refused(type: string | null, code: ErrorCode): void {
      const counter = ERRORS[code].status < 500 ? refused : failed;
      counter.inc({ command_type: type ?? UNKNOWN, error_code: code });
    },
    watchDoor(door: { readonly waiting: number }): void {
      metrics.onScrape(() => atTheDoor.set(door.waiting));
    },
  };
}

function commandCounters(registers: Registry[], commandTypes: readonly string[]) {
  const accepted = new Counter({
    name: 'genesis_commands_accepted_total',
    help: 'Commands that were accepted: written, and answered with 200, 201 or 202',
    labelNames: ['command_type'],
    registers,
  });
  const replayed = new Counter({
    name: 'genesis_commands_replayed_total',
    help: 'Retries by Idempotency-Key that got the first answer again: nothing was written',
    labelNames: ['command_type'],
    registers,
  });
  const refused = new Counter({
    name: 'genesis_commands_refused_total',
    help: 'Commands that were answered with a 4xx: the request, or the state of its session, forbade them',
    labelNames: ['command_type', 'error_code'],
    registers,
  });
  const failed = new Counter({
    name: 'genesis_commands_failed_total',
    help: 'Commands that were answered with a 5xx: success rate = accepted / (accepted + failed)',
    labelNames: ['command_type', 'error_code'],
    registers,
  });
  // From 0 on, so that the first failure is an increase.
  for (const type of commandTypes) {
    accepted.inc({ command_type: type }, 0);
    replayed.inc({ command_type: type }, 0);
    for (const code of FAILURES) failed.inc({ command_type: type, error_code: code }, 0);
  }
  return { accepted, replayed, refused, failed };
}
