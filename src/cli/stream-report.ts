import {
  STREAM_FINDING_CODES,
  STREAM_FINDINGS,
  type StreamFinding,
  type StreamFindingCode,
} from '../operations/stream-findings.ts';
import { count, counted } from './progress.ts';

/** Counts findings by kind, and keeps the first of each. */
export class FindingList {
  readonly #most: number;
  readonly #counts = new Map<StreamFindingCode, number>();
  readonly #kept: StreamFinding[] = [];

  /** @param most How many of each kind are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, number) => sum + number, 0);
  }

  add(finding: StreamFinding): void {
    const before = this.#counts.get(finding.code) ?? 0;
    this.#counts.set(finding.code, before + 1);
    if (before < this.#most) this.#kept.push(finding);
  }

  /** For people: the figures, then the first findings of each kind and what to do. */
  table(summary: string): string {
    const figures = STREAM_FINDING_CODES.map((code) => {
      return `  ${code.padEnd(12)}${count(this.#counts.get(code) ?? 0).padStart(12)}   ${STREAM_FINDINGS[code].meaning}`;
    });
    const details = STREAM_FINDING_CODES.flatMap((code) => this.#details(code));
    const verdict = this.total === 0 ? 'topic and database agree' : counted(this.total, 'difference');
    return [summary, ...figures, ...details, verdict].join('\n');
  }

  json(): object {
    return {
      differences: Object.fromEntries(STREAM_FINDING_CODES.map((code) => [code, this.#counts.get(code) ?? 0])),
      findings: this.#kept.map(findingAsJson),
    };
  }

  #details(code: StreamFindingCode): readonly string[] {
    const kept = this.#kept.filter((finding) => finding.code === code);
    if (kept.length === 0) return [];
    const more = (this.#counts.get(code) ?? 0) - kept.length;
    const rest = more === 0 ? [] : [`  … and ${count(more)} more`];
    return [
      '',
      code,
      ...kept.map((finding) => `  ${findingAsText(finding)}`),
      ...rest,
      `  → ${STREAM_FINDINGS[code].mend}`,
      '',
    ];
  }
}

export function findingAsText({ partition, offset, sessionId, sequence, eventId, detail }: StreamFinding): string {
  const where = partition === null || offset === null ? '' : `partition ${partition} offset ${offset}  `;
  const what = sessionId === null ? '' : `session ${sessionId} version ${sequence}  `;
  return `${where}${what}${eventId === null ? '' : `event ${eventId}: `}${detail}`;
}

export function findingAsJson({
  code,
  partition,
  offset,
  sessionId,
  sequence,
  eventId,
  detail,
}: StreamFinding): object {
  return {
    code,
    partition,
    offset: offset === null ? null : String(offset),
    session_id: sessionId,
    sequence,
    event_id: eventId,
    detail,
  };
}
