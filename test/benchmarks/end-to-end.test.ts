import { describe, expect, it } from 'vitest';
import { judgeRun } from '../../benchmarks/end-to-end/judge-run.ts';
import type { Sample } from '../../benchmarks/end-to-end/sampler.ts';
import { timelineOf, type Second } from '../../benchmarks/end-to-end/timeline.ts';

const RATE = 1_000;

/** A second's commands, and how many were pending at its end. */
function seconds(backlogs: readonly number[]): readonly Second[] {
  return backlogs.map((backlog, second) => {
    const before = backlogs[second - 1] ?? 0;
    return { second, committed: RATE, sent: RATE - (backlog - before), backlog, lagP50: 1, lagP99: 2 };
  });
}

/** Each part uses so many microseconds in each second. */
function samples(count: number, perSecond: (second: number) => number): readonly Sample[] {
  let used = 0;
  return Array.from({ length: count + 1 }, (_, at) => {
    const sample = {
      at: at * 1_000,
      cpu: { api: used, relay: used, postgres: 0, kafka: 0 },
      memory: { api: 100, relay: 50 },
    };
    used += perSecond(at);
    return sample;
  });
}

describe('the timeline of an end-to-end run', () => {
  it('counts as backlog what was committed and not yet marked at the end of each second', () => {
    const timeline = timelineOf(
      [
        { second: 0, count: 10 },
        { second: 1, count: 5 },
      ],
      [
        { second: 1, count: 12, p50: 3, p99: 9 },
        { second: 3, count: 3, p50: 4, p99: 8 },
      ],
    );
    expect(timeline.map(({ backlog }) => backlog)).toEqual([10, 3, 3, 0]);
    expect(timeline[1]).toMatchObject({ committed: 5, sent: 12, lagP50: 3, lagP99: 9 });
  });
});

describe('the judgement of an end-to-end run', () => {
  it('calls a backlog that stays as it is bounded, though it is large', () => {
    expect(
      judgeRun(
        seconds(Array.from({ length: 9 }, () => 5_000)),
        samples(9, () => 1),
        9,
      ).bounded,
    ).toBe(true);
  });

  it('calls a backlog that grows by a tenth of the commands unbounded', () => {
    const growing = seconds(Array.from({ length: 9 }, (_, second) => second * RATE * 0.1));
    expect(
      judgeRun(
        growing,
        samples(9, () => 1),
        9,
      ).bounded,
    ).toBe(false);
  });

  it('tells the CPU per event of the first and of the last quarter apart', () => {
    const { first, last } = judgeRun(
      seconds([0, 0, 0, 0, 0, 0, 0, 0, 0]),
      samples(9, (at) => (at < 5 ? 20_000 : 50_000)),
      9,
    );
    expect(first.cpu.api).toBeCloseTo(20);
    expect(last.cpu.api).toBeCloseTo(50);
    expect(last.cpuOfAll).toBeCloseTo(100);
  });

  it('leaves the second out in which the commands begin', () => {
    const [begin, ...rest] = seconds([0, 0, 0, 0, 0, 0]);
    const late = [{ ...begin, committed: 1 } as Second, ...rest];
    expect(
      judgeRun(
        late,
        samples(6, () => 1),
        6,
      ).committedPerSecond,
    ).toBe(RATE);
  });
});
