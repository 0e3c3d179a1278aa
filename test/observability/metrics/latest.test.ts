import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Latest } from '../../../src/observability/metrics/latest.ts';

const LIMITS = { keep: 1_000, wait: 100, serve: 10_000 };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const pass = (milliseconds: number) => vi.advanceTimersByTime(milliseconds);

test('those who ask at the same time, or soon after, share one question', async () => {
  const ask = vi.fn(async () => 'answer');
  const latest = new Latest(ask, LIMITS);
  expect(await Promise.all([latest.get(), latest.get()])).toEqual(['answer', 'answer']);
  pass(999);
  expect(await latest.get()).toBe('answer');
  expect(ask).toHaveBeenCalledTimes(1);
  pass(2);
  await latest.get();
  expect(ask).toHaveBeenCalledTimes(2);
});

test('while a new answer is late the one before serves, and the late one is there for the next', async () => {
  const late = Promise.withResolvers<string>();
  const answers = [Promise.resolve('first'), late.promise];
  const latest = new Latest(() => answers.shift() ?? Promise.reject(new Error('asked too often')), LIMITS);
  await latest.get();
  pass(5_000);
  expect(await latest.get()).toBe('first');
  late.resolve('second');
  await late.promise;
  expect(await latest.get()).toBe('second');
});

test('an old answer does not serve for ever', async () => {
  const answers = [Promise.resolve('first'), Promise.withResolvers<string>().promise];
  const latest = new Latest(() => answers.shift() ?? Promise.reject(new Error('asked too often')), LIMITS);
  await latest.get();
  pass(10_001);
  expect(await latest.get()).toBeNull();
  expect(await latest.get()).toBeNull();
});

test('what fails leaves no answer, however it fails, and is asked again', async () => {
  const asked = [
    () => Promise.resolve('first'),
    () => Promise.reject(new Error('away')),
    () => {
      throw new Error('a defect');
    },
    () => Promise.resolve('again'),
  ];
  const latest = new Latest<string>(() => asked.shift()?.() ?? Promise.resolve('too often'), LIMITS);
  expect(await latest.get()).toBe('first');
  expect(latest.error).toBeNull();
  pass(1_001);
  expect(await latest.get()).toBeNull();
  expect(latest.error).toEqual(new Error('away'));
  expect(await latest.get()).toBeNull();
  expect(latest.error).toEqual(new Error('a defect'));
  expect(await latest.get()).toBe('again');
  expect(latest.error).toBeNull();
});
