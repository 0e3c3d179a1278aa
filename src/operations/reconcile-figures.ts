import { STREAM_FINDING_CODES, type StreamFinding, type StreamFindingCode } from './stream-findings.ts';

/** What continuous reconciliation has come to, for metrics: counters since its start, and two gauges. */
export interface ReconcileFigures {
  /** Records that were compared with their events. */
  readonly checked: number;
  /** Findings by kind. */
  readonly findings: Readonly<Record<StreamFindingCode, number>>;
  /** Rows of other topics that came up: they are left out. */
  readonly elsewhere: number;
  /** Records that are in the topic and not yet compared. */
  readonly lag: number;
  /** When a round ended last, in milliseconds since the epoch; null before the first. */
  readonly lastRoundAt: number | null;
}

/** Counts while reconciliation goes on. */
export class FigureCounts {
  readonly #findings = new Map<StreamFindingCode, number>(STREAM_FINDING_CODES.map((code) => [code, 0]));
  checked = 0;
  elsewhere = 0;
  lag = 0;
  lastRoundAt: number | null = null;

  add({ code }: StreamFinding): void {
    this.#findings.set(code, (this.#findings.get(code) ?? 0) + 1);
  }

  get figures(): ReconcileFigures {
    const { checked, elsewhere, lag, lastRoundAt } = this;
    const findings = Object.fromEntries(this.#findings) as ReconcileFigures['findings'];
    return { checked, findings, elsewhere, lag, lastRoundAt };
  }
}
