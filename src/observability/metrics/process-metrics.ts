import { monitorEventLoopDelay, performance, type EventLoopUtilization } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Service } from '../../service.ts';
import type { Metrics } from './metrics.ts';

/** Milliseconds between two samples of the event loop's delay. Each sample is counted with the time that it was meant to take. */
const RESOLUTION = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

/** What this process uses, and how late its event loop is. Sampled while it is started. */
export function processMetrics(metrics: Metrics): Service {
  const tellUse = useMetrics(metrics.registry);
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  const tellLoop = eventLoopMetrics(metrics.registry, delay);
  metrics.onScrape(() => {
    tellUse();
    tellLoop();
  });
  return {
    name: 'process metrics',
    async start() {
      delay.enable();
    },
    async stop() {
      delay.disable();
    },
  };
}

/** By the names that every client library gives them. */
function useMetrics(registry: Registry): () => void {
  const registers = [registry];
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers });
  const cpu = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time that the process has used, in user and system mode',
    registers,
  });
  const resident = gauge('process_resident_memory_bytes', 'Memory of the process that is in RAM');
  const heap = gauge('process_heap_bytes', 'Memory that JavaScript objects take');
  const began = gauge('process_start_time_seconds', 'When the process began, in seconds since the epoch');
  began.set(Math.round(performance.timeOrigin) / 1_000);
  return () => {
    const { user, system } = process.cpuUsage();
    cpu.reset();
    cpu.inc((user + system) / MICROSECONDS);
    const { rss, heapUsed } = process.memoryUsage();
    resident.set(rss);
    heap.set(heapUsed);
  };
}

function eventLoopMetrics(registry: Registry, delay: ReturnType<typeof monitorEventLoopDelay>): () => void {
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers: [registry] });
  const p99 = gauge(
    'genesis_event_loop_delay_p99_seconds',
    'By how much timers were late since the last scrape: 99th percentile',
  );
  const most = gauge(
    'genesis_event_loop_delay_max_seconds',
    'By how much timers were late since the last scrape: at most',
  );
  const busy = gauge(
    'genesis_event_loop_utilization_ratio',
    'Part of the time since the last scrape in which the event loop was busy, 0–1',
  );
  let before: EventLoopUtilization = performance.eventLoopUtilization();
  const late = (nanoseconds: number) => Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION / 1_000);
  return () => {
    p99.set(late(delay.percentile(99)));
    most.set(late(delay.max));
    delay.reset();
    const now = performance.eventLoopUtilization();
    busy.set(performance.eventLoopUtilization(now, before).utilization);
    before = now;
  };
}
