import { setTimeout as delay } from 'node:timers/promises';
import { Follower, type FollowOptions, type FollowStart } from '../operations/follow.ts';
import type { Reconciling } from '../observability/metrics/reconcile-metrics.ts';
import { reconcile } from '../operations/reconcile.ts';
import { FigureCounts, type ReconcileFigures } from '../operations/reconcile-figures.ts';
import { STREAM_FINDING_CODES, type StreamFinding } from '../operations/stream-findings.ts';
import { interrupted } from './interrupted.ts';
import { count, counted } from './progress.ts';
import { tellingMetrics, type MetricsOptions } from './reconcile-metrics.ts';
import { findingAsJson, findingAsText } from './stream-report.ts';

interface FollowCommandOptions {
  readonly json?: true;
  readonly sinceNow?: true;
  /** Seconds. */
  readonly interval: number;
  /** Where figures are told, too; null: nowhere. */
  readonly metrics: MetricsOptions | null;
}

type Sources = Pick<FollowOptions, 'store' | 'topic' | 'topicName' | 'partitionOf'>;

/** Reconciles for as long as nobody ends it. Gives the number of differences. */
export async function followStream(options: FollowCommandOptions, sources: Sources): Promise<number> {
  const following = new Following(options, sources, interrupted());
  const run = () => following.run();
  return options.metrics === null ? run() : tellingMetrics(options.metrics, () => following.reconciling, run);
}

class Following {
  readonly #options: FollowCommandOptions;
  readonly #sources: Sources;
  readonly #signal: AbortSignal;
  readonly #follower: Follower;
  /** What the first, whole look has found. */
  #before = new FigureCounts();
  #lookedAtAll = false;
  #told = '';
  #outage = '';

  constructor(options: FollowCommandOptions, sources: Sources, signal: AbortSignal) {
    this.#options = options;
    this.#sources = sources;
    this.#signal = signal;
    this.#follower = new Follower({ ...sources, onFinding: (finding) => this.#tell(finding), signal });
  }

  /** What it has come to so far. */
  get reconciling(): Reconciling {
    return { figures: this.#follower.figures, before: this.#lookedAtAll ? this.#before.figures.findings : null };
  }

  async run(): Promise<number> {
    const start = this.#options.sinceNow ? null : await this.#persist(() => this.#lookAtAll());
    if (start !== undefined) await this.#persist(() => this.#follower.begin(start));
    while (!this.#signal.aborted) {
      await this.#attempt(() => this.#follower.round());
      this.#tellFigures();
      await this.#pause();
    }
    return sumOf(this.#before.figures) + sumOf(this.#follower.figures);
  }

  /** What was published before the first round. */
  async #lookAtAll(): Promise<FollowStart> {
    const before = new FigureCounts();
    this.#before = before;
    const after = await this.#sources.store.lastSettled();
    const found: StreamFinding[] = [];
    const { ranges, events, records } = await reconcile({
      ...this.#sources,
      only: null,
      onFinding: (finding) => {
        before.add(finding);
        if (found.length < MOST_AT_FIRST) found.push(finding);
      },
      onProgress: () => undefined,
      signal: this.#signal,
    });
    this.#lookedAtAll = true;
    const differences = sumOf(before.figures);
    for (const finding of found) this.#tell(finding);
    const summary = { events, records, differences };
    const text = `${counted(events, 'event')}, ${counted(records, 'record')} so far: ${counted(differences, 'difference')}`;
    console.log(this.#options.json ? JSON.stringify(summary) : text);
    return { after, ends: new Map([...ranges].map(([partition, { to }]) => [partition, to])) };
  }

  /** Until it succeeds; undefined: it was ended before. */
  async #persist<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    while (!this.#signal.aborted) {
      const done = await this.#attempt(async () => ({ result: await work() }));
      if (done !== undefined) return done.result;
      await this.#pause();
    }
    return undefined;
  }

  /** Whatever goes wrong is told once, and tried again: a look must not end because a database or a broker does. */
  async #attempt<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      const result = await work();
      if (this.#outage !== '') console.error('goes on');
      this.#outage = '';
      return result;
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      if (!this.#signal.aborted && words !== this.#outage) console.error(`waiting: ${words}`);
      this.#outage = words;
      return undefined;
    }
  }

  async #pause(): Promise<void> {
    await delay(this.#options.interval * 1_000, undefined, { signal: this.#signal }).catch(() => undefined);
  }

  #tell(finding: StreamFinding): void {
    console.log(
      this.#options.json ? JSON.stringify(findingAsJson(finding)) : `${finding.code}  ${findingAsText(finding)}`,
    );
  }

  /** When they have changed. */
  #tellFigures(): void {
    const figures = this.#follower.figures;
    const text = this.#options.json ? asJson(figures) : asText(figures);
    if (text === this.#told) return;
    this.#told = text;
    console.log(text);
  }
}

/** Findings of the first look that are told one by one. */
const MOST_AT_FIRST = 100;

function sumOf({ findings }: ReconcileFigures): number {
  return Object.values(findings).reduce((sum, number) => sum + number, 0);
}

function asJson({ checked, findings, lag }: ReconcileFigures): string {
  return JSON.stringify({ checked, lag, differences: findings });
}

function asText({ checked, findings, lag }: ReconcileFigures): string {
  const found = STREAM_FINDING_CODES.filter((code) => findings[code] > 0).map(
    (code) => `${code} ${count(findings[code])}`,
  );
  return `${counted(checked, 'new record')} checked, ${count(lag)} to go: ${found.length === 0 ? 'no difference' : found.join(', ')}`;
}
