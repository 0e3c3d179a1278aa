import { describe, expect, it } from 'vitest';
import { count, duration, Progress } from '../../src/cli/progress.ts';

const ERASE = '\r\u001B[2K';

/** A progress of 1,000 sessions, what it wrote, and a clock that the test moves. */
function progressOf(isTTY: boolean | undefined, total = 1_000) {
  const written: string[] = [];
  let time = 0;
  const progress = new Progress({
    stream: { isTTY, write: (text: string) => written.push(text) },
    total,
    unit: 'session',
    now: () => time,
  });
  return {
    progress,
    written,
    /** `done` sessions are done `after` milliseconds. */
    at: (after: number, done: number) => {
      time = after;
      progress.update(done, '7 events');
    },
  };
}

describe('on a terminal', () => {
  it('is a bar that says how much is done, and how long it will take', () => {
    const { at, written } = progressOf(true);
    at(4_000, 250);
    expect(written).toEqual([
      `${ERASE}[########----------------------] 25 % · 250 of 1,000 sessions · 7 events · 12 s left`,
    ]);
  });

  it('is drawn over itself, but not more often than eyes can follow', () => {
    const { at, written } = progressOf(true);
    for (let time = 0; time <= 1_000; time += 10) at(time, time);
    expect(written.length).toBe(10);
    expect(written.every((text) => text.startsWith(ERASE) && !text.includes('\n'))).toBe(true);
  });

  it('is taken away for other output, and at the end', () => {
    const { at, progress, written } = progressOf(true);
    progress.clear();
    at(500, 500);
    progress.clear();
    progress.clear();
    expect(written.slice(1)).toEqual([ERASE]);
  });

  it('is full when all is done, and stays so if there was more than was known', () => {
    const { at, written } = progressOf(true);
    at(500, 1_000);
    at(1_000, 1_200);
    const full = `${ERASE}[${'#'.repeat(30)}] 100 %`;
    expect(written).toEqual([
      `${full} · 1,000 of 1,000 sessions · 7 events`,
      `${full} · 1,200 of 1,200 sessions · 7 events`,
    ]);
  });

  it('does not stumble over nothing to do', () => {
    const { at, written } = progressOf(true, 0);
    at(500, 0);
    expect(written).toEqual([`${ERASE}[${'#'.repeat(30)}] 100 % · 0 of 0 sessions · 7 events`]);
  });

  it('promises no end before anything is done', () => {
    const { at, written } = progressOf(true);
    at(500, 0);
    expect(written[0]).not.toContain('left');
  });
});

describe.each([false, undefined])('elsewhere', (isTTY) => {
  it('is a plain line now and then', () => {
    const { at, progress, written } = progressOf(isTTY);
    for (let time = 0; time <= 40_000; time += 500) at(time, time / 80);
    progress.clear();
    expect(written.length).toBe(4);
    expect(written[0]).toBe('12 % · 125 of 1,000 sessions · 7 events · 1 min 10 s left\n');
  });
});

describe('in words', () => {
  it.each([
    [0, '0.0 s'],
    [420, '0.4 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_400, '59 s'],
    [200_000, '3 min 20 s'],
    [7_500_000, '2 h 5 min'],
  ])('%i ms are %s', (milliseconds, words) => {
    expect(duration(milliseconds)).toBe(words);
  });

  it('a large number has its thousands apart', () => {
    expect(count(1_234_567)).toBe('1,234,567');
  });
});
