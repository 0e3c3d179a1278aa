import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyProbe, type LatencySummary } from '../../faults/latency.ts';
import { TopicTail } from '../../faults/topic-tail.ts';
import { until } from '../../faults/until.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { Clients } from './clients.ts';
import { createDatabase, openPlace, PARTITIONS, type Stage } from './stage.ts';

export interface LatencyPlan {
  readonly modes: readonly DeliveryMode[];
  /** Of each load, in seconds. */
  readonly seconds: number;
  /** Commands per second that are offered. */
  readonly rates: readonly number[];
}

const SESSIONS = 1_000;
/** Milliseconds that are not counted: caches and plans are cold. */
const WARM_UP = 5_000;

/**
 * From the commit, as its client hears of it, to a read_committed consumer, on one clock. Clients, relay, consumer and servers
 * share the machine; clients and consumer share a process.
 */
export async function measureLatency(stage: Stage, { modes, seconds, rates }: LatencyPlan): Promise<void> {
  for (const mode of modes) {
    const place = await openPlace(stage, await createDatabase(stage), mode);
    const probe = new LatencyProbe();
    const tail = new TopicTail(place.kafka, ({ key, headers }) =>
      probe.arrived(key ?? '', Number(headers.get('sequence'))),
    );
    const clients = new Clients({
      databaseUrl: place.databaseUrl,
      destination: { topic: place.kafka.topic, shards: PARTITIONS },
      onCommit: (session, version) => probe.committed(session, version),
    });
    try {
      await tail.start();
      const relay = place.relays.start();
      await clients.start(SESSIONS);
      await until('the first records', async () => Promise.resolve(probe.summary().samples >= SESSIONS));
      for (const rate of rates) {
        await clients.offer(rate, WARM_UP);
        const [since, answered] = [performance.now(), clients.answered];
        await clients.offer(rate, seconds * 1_000);
        const achieved = (clients.answered - answered) / ((performance.now() - since) / 1_000);
        const to = performance.now();
        await sleep(2_000);
        tell(stage, {
          mode,
          rate,
          achieved,
          refused: clients.refused,
          memory: relay.memory(),
          ...probe.summary(since, to),
        });
      }
    } finally {
      await clients.close();
      await tail.stop();
      await place.close();
    }
  }
}

interface Figures extends LatencySummary {
  readonly mode: DeliveryMode;
  readonly rate: number;
  readonly achieved: number;
  readonly refused: number;
  readonly memory: number;
}

function tell(stage: Stage, figures: Figures): void {
  const { mode, rate, achieved, refused, memory, p50, p99, most } = figures;
  console.log(
    `latency, ${mode}, ${rate}/s offered (${achieved.toFixed(0)}/s answered): ` +
      `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${most.toFixed(0)} ms; ${memory} MiB${refused > 0 ? `; ${refused} commands refused: the machine is too slow for this rate` : ''}`,
  );
  stage.report({ measure: 'latency', ...figures });
}
