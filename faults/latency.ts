import { percentile } from './percentile.ts';

export interface LatencySummary {
  readonly samples: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

interface Sample {
  readonly at: number;
  readonly latency: number;
}

/** Most arrivals that wait for their commit: copies, and events whose command is known by another one, wait in vain. */
const WAITING = 20_000;
/** Most samples that are kept: the latest. */
const KEPT = 500_000;

/** From the commit's acknowledgement to the consumer, on one clock. An event is named by its session and version. */
export class LatencyProbe {
  readonly #committed = new Map<string, number>();
  readonly #arrived = new Map<string, number>();
  readonly #samples: Sample[] = [];
  readonly #ignored = new Set<string>();

  committed(session: string, version: number, at = performance.now()): void {
    if (this.#ignored.has(session)) return;
    const name = `${session}/${version}`;
    const arrived = this.#arrived.get(name);
    if (arrived === undefined) this.#committed.set(name, at);
    else {
      this.#arrived.delete(name);
      this.#add(at, arrived - at);
    }
  }

  /** A record became visible; it may be earlier than the writer hears of its commit. */
  arrived(session: string, version: number, at = performance.now()): void {
    if (this.#ignored.has(session)) return;
    const name = `${session}/${version}`;
    const committed = this.#committed.get(name);
    if (committed === undefined) {
      if (this.#arrived.size >= WAITING) this.#arrived.clear();
      this.#arrived.set(name, at);
    } else {
      this.#committed.delete(name);
      this.#add(committed, at - committed);
    }
  }

  /** Events of this session are none of ours from now on. */
  ignore(session: string): void {
    this.#ignored.add(session);
  }

  /** Of events committed from `since` up to `to`, by the monotonic clock. */
  summary(since = 0, to = Infinity): LatencySummary {
    const latencies = this.#samples.filter(({ at }) => at >= since && at < to).map(({ latency }) => latency);
    latencies.sort((a, b) => a - b);
    return {
      samples: latencies.length,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      most: latencies.at(-1) ?? 0,
    };
  }

  #add(at: number, latency: number): void {
    if (this.#samples.length >= KEPT) this.#samples.splice(0, KEPT / 10);
    this.#samples.push({ at, latency: Math.max(0, latency) });
  }
}
