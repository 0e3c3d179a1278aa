import type { Quarter } from './judge-run.ts';
import type { Run } from './run.ts';
import { PARTS } from './sampler.ts';
import type { Verdict } from './verify.ts';

/** Lines of seconds that people read. */
const MOST_LINES = 15;

/** What a run was, for people. */
export function tellRun({ rate, load, timeline, judgement, drainedAfter }: Run): void {
  const { first, last, committedPerSecond, sentPerSecond, mostBacklog, bounded } = judgement;
  const { p50, p99, refused } = load;
  const offered = rate === null ? 'as many as the connections take' : `${rate} commands/s offered`;
  console.log(`\n${offered}; by second:`);
  console.log(row(['second', 'committed', 'sent', 'backlog', 'lag p50 ms', 'lag p99 ms']));
  const step = Math.max(1, Math.ceil(timeline.length / MOST_LINES));
  for (const each of timeline.filter(({ second }) => second % step === 0)) {
    const { second, committed, sent, backlog, lagP50, lagP99 } = each;
    console.log(row([second, committed, sent, backlog, lagP50.toFixed(1), lagP99.toFixed(1)]));
  }
  console.log(
    `\n${count(committedPerSecond)} commands/s committed, ${count(sentPerSecond)} records/s acknowledged and marked; ` +
      `answers p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${refused} refused\n` +
      `backlog: ${count(mostBacklog)} events at most, ${bounded ? 'bounded' : 'GROWING'} ` +
      `(mean of the first quarter ${count(first.backlog)}, of the last ${count(last.backlog)}); ` +
      `empty ${(drainedAfter / 1_000).toFixed(1)} s after the last answer`,
  );
  console.log(row(['CPU µs/event', ...PARTS, 'all', 'MiB api', 'MiB relay']));
  tellQuarter('first quarter', first);
  tellQuarter('last quarter', last);
}

function tellQuarter(name: string, { cpu, cpuOfAll, memory }: Quarter): void {
  const parts = PARTS.map((part) => cpu[part].toFixed(0));
  console.log(row([name, ...parts, cpuOfAll.toFixed(0), memory.api, memory.relay]));
}

/** Whether anything was lost, for people. */
export function tellVerdict(verdict: Verdict): void {
  const { answered, withoutRow, withoutEvent, unanswered, records, events, differences } = verdict;
  const how = differences === 0 ? ' (each once, in order, with its bytes)' : `: ${JSON.stringify(verdict.findings)}`;
  console.log(
    `${count(answered)} commands answered by 2xx: ${withoutRow} without their row, ${withoutEvent} without a published event; ` +
      `${unanswered} more committed when nobody waited for the answer any more\n` +
      `${count(events)} events, ${count(records)} records in the topic, ${differences} differences between them${how}`,
  );
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell, at) => (at === 0 ? String(cell).padEnd(14) : String(cell).padStart(11))).join('');
}
