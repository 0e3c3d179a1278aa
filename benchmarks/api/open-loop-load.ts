import { createHistogram, performance, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { HttpConnection } from './open-loop-connection.ts';

export interface OpenLoopPlan {
  /** http://host:port */
  readonly address: string;
  /** Sent in turn. */
  readonly requests: readonly Buffer[];
  /** Requests per second, and for how many seconds. */
  readonly rate: number;
  readonly seconds: number;
  /** Opened beforehand and kept; a request that finds all of them busy waits for one. */
  readonly connections: number;
  /** Milliseconds after which an answer is late, and a request that found no connection is given up. */
  readonly patience: number;
}

/** Milliseconds. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** One second of the run, by when the answers came. */
export interface AnswersOfSecond {
  readonly accepted: number;
  /** 503 and 429. */
  readonly refused: number;
  /** Any other answer, and none. */
  readonly other: number;
}

export interface OpenLoopFigures {
  readonly asked: number;
  readonly sent: number;
  /** From the first request to the last, per second. */
  readonly sentPerSecond: number;
  /** How many were answered by each status; besides `broken` (the connection ended), `unanswered` and `unsent`. */
  readonly answers: Readonly<Record<string, number>>;
  /** Why connections broke, each reason once. */
  readonly problems: readonly string[];
  /** From when a request was due; one without an answer counts with the time it has waited. */
  readonly latency: Percentiles;
  /** The same, of accepted commands only, and of refused ones only. */
  readonly accepted: Percentiles;
  readonly refused: Percentiles;
  /** From when a request was sent, in milliseconds: the latest answer, and how many came after `patience`. */
  readonly latest: number;
  readonly late: number;
  readonly seconds: readonly AnswersOfSecond[];
  /** Is the load generator itself the bottleneck? */
  readonly generator: {
    /** Share of a core, from the first request to the last. */
    readonly cpu: number;
    /** Share of the time in which its thread had work. */
    readonly busy: number;
    /** From when a request was due until it was sent, of those that found a free connection. */
    readonly lag: Percentiles;
    /** Requests that found no free connection. */
    readonly waited: number;
  };
}

/** After the last request, beyond twice `patience`: for answers that are late. */
const GRACE = 2_000;
const OPENED_AT_ONCE = 64;

/**
 * Sends requests when they are due, whatever became of those before (an open loop: a slow answer keeps no request from being sent,
 * and what waits is counted as waiting). Latencies count from when a request was due, as Tene's "coordinated omission" asks for.
 */
export class OpenLoopLoad {
  readonly #plan: OpenLoopPlan;
  readonly #address: URL;
  readonly #free: HttpConnection[] = [];
  readonly #all = new Set<HttpConnection>();
  /** When those were due that wait for a connection; from #head on. */
  #waiting: number[] = [];
  #head = 0;
  #at = 0;
  #began = 0;
  #lastSent = 0;
  #sent = 0;
  #done = 0;
  #waited = 0;
  #late = 0;
  #latest = 0;
  readonly #problems = new Set<string>();
  readonly #answers: Record<string, number> = {};
  readonly #seconds: { accepted: number; refused: number; other: number }[] = [];
  readonly #latency = createHistogram();
  readonly #accepted = createHistogram();
  readonly #refused = createHistogram();
  readonly #lag = createHistogram();

  constructor(plan: OpenLoopPlan) {
    this.#plan = plan;
    this.#address = new URL(plan.address);
    // Where in the sessions to begin: another run's first are other ones.
    this.#at = Math.floor(Math.random() * plan.requests.length);
  }

  /** @throws Error if the API takes no connection */
  async open(): Promise<void> {
    while (this.#all.size < this.#plan.connections) {
      const some = Math.min(OPENED_AT_ONCE, this.#plan.connections - this.#all.size);
      const opened = Array.from({ length: some }, () => this.#connect());
      await Promise.all(opened.map(({ ready }) => ready));
      this.#free.push(...opened);
    }
  }

  /**
   * Sends all, and waits for the answers: the last one may be sent `patience` after it was due, and be answered `patience` later; at most
   * two seconds longer than that.
   */
  async run(): Promise<OpenLoopFigures> {
    const { rate, seconds, patience } = this.#plan;
    const asked = Math.round(rate * seconds);
    const [cpu, loop] = [process.cpuUsage(), performance.eventLoopUtilization()];
    this.#began = performance.now();
    for (let next = 0; next < asked;) {
      const now = performance.now();
      for (; next < asked && this.#dueAt(next) <= now; next += 1) this.#take(this.#dueAt(next), now);
      this.#giveUp(now);
      await sleep(1);
    }
    const elapsed = (performance.now() - this.#began) * 1_000;
    const spent = process.cpuUsage(cpu);
    const { utilization } = performance.eventLoopUtilization(loop);
    const until = performance.now() + 2 * patience + GRACE;
    while (this.#done < asked && performance.now() < until) {
      this.#giveUp(performance.now());
      await sleep(5);
    }
    this.#settleRest();
    return this.#figures(asked, (spent.user + spent.system) / elapsed, utilization);
  }

  close(): void {
    for (const connection of this.#all) connection.destroy();
    this.#all.clear();
  }

  #dueAt(number: number): number {
    return this.#began + (number * 1_000) / this.#plan.rate;
  }

  #connect(): HttpConnection {
    const connection = new HttpConnection(this.#address, {
      answered: (answering, status) => this.#answered(answering, status),
      closed: (closing, reason) => this.#closed(closing, reason),
    });
    this.#all.add(connection);
    return connection;
  }

  #take(due: number, now: number): void {
    const connection = this.#idle();
    if (connection === null) {
      this.#waited += 1;
      this.#waiting.push(due);
      return;
    }
    record(this.#lag, now - due);
    this.#send(connection, due);
  }

  /** One that was closed while it was idle is not used again, and replaced when there is need. */
  #idle(): HttpConnection | null {
    for (;;) {
      const connection = this.#free.pop();
      if (connection === undefined) return this.#all.size < this.#plan.connections ? this.#connect() : null;
      if (this.#all.has(connection)) return connection;
    }
  }

  #send(connection: HttpConnection, due: number): void {
    const { requests } = this.#plan;
    this.#at = (this.#at + 1) % requests.length;
    const request = requests[this.#at];
    if (request === undefined) throw new Error('there are no requests to send');
    connection.send(request, due);
    this.#sent += 1;
    this.#lastSent = connection.sent;
  }

  #answered(connection: HttpConnection, status: number): void {
    const now = performance.now();
    const after = now - connection.sent;
    this.#latest = Math.max(this.#latest, after);
    if (after > this.#plan.patience) this.#late += 1;
    const kind = kindOf(status);
    if (kind !== 'other') record(kind === 'accepted' ? this.#accepted : this.#refused, now - connection.due);
    this.#count(String(status), kind, now - connection.due);
    // One that ends with this answer is replaced by the next that is looked for.
    if (this.#all.has(connection)) this.#free.push(connection);
    const due = this.#waiting[this.#head];
    const next = due === undefined ? null : this.#idle();
    if (due === undefined || next === null) return;
    this.#head += 1;
    this.#send(next, due);
  }

  #closed(connection: HttpConnection, reason: string): void {
    this.#all.delete(connection);
    if (!connection.busy) return;
    this.#problems.add(reason);
    this.#count('broken', 'other', performance.now() - connection.due);
  }

  /** Those that have waited for a connection for too long, as a client with a time-out would. */
  #giveUp(now: number): void {
    for (let due = this.#waiting[this.#head]; due !== undefined; due = this.#waiting[this.#head]) {
      if (now - due <= this.#plan.patience) break;
      this.#head += 1;
      this.#count('unsent', 'other', now - due);
    }
    if (this.#head < 10_000) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }

  #settleRest(): void {
    const now = performance.now();
    for (const { busy, due } of this.#all) if (busy) this.#count('unanswered', 'other', now - due);
    for (const due of this.#waiting.slice(this.#head)) this.#count('unsent', 'other', now - due);
  }

  #count(answer: string, kind: keyof AnswersOfSecond, latency: number): void {
    this.#done += 1;
    this.#answers[answer] = (this.#answers[answer] ?? 0) + 1;
    record(this.#latency, latency);
    const second = Math.floor((performance.now() - this.#began) / 1_000);
    while (this.#seconds.length <= second) this.#seconds.push({ accepted: 0, refused: 0, other: 0 });
    const counts = this.#seconds[second];
    if (counts !== undefined) counts[kind] += 1;
  }

  #figures(asked: number, cpu: number, busy: number): OpenLoopFigures {
    return {
      asked,
      sent: this.#sent,
      sentPerSecond: this.#sent / Math.max(this.#plan.seconds, (this.#lastSent - this.#began) / 1_000),
      answers: this.#answers,
      problems: [...this.#problems],
      latency: percentiles(this.#latency),
      accepted: percentiles(this.#accepted),
      refused: percentiles(this.#refused),
      latest: this.#latest,
      late: this.#late,
      seconds: this.#seconds,
      generator: { cpu, busy, lag: percentiles(this.#lag), waited: this.#waited },
    };
  }
}

function kindOf(status: number): keyof AnswersOfSecond {
  if (status >= 200 && status < 300) return 'accepted';
  return status === 503 || status === 429 ? 'refused' : 'other';
}

/** In microseconds; a histogram begins at 1. */
function record(histogram: RecordableHistogram, milliseconds: number): void {
  histogram.record(Math.max(1, Math.round(milliseconds * 1_000)));
}

function percentiles(histogram: RecordableHistogram): Percentiles {
  const { count } = histogram;
  const at = (percentile: number): number => (count === 0 ? 0 : histogram.percentile(percentile) / 1_000);
  return { count, p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
}
