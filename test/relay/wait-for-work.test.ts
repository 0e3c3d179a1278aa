import { expect, test } from 'vitest';
import { createLocalWakeup } from '../../src/relay/local-wakeup.ts';
import { WorkSignal } from '../../src/relay/wait-for-work.ts';

const NEVER = 2_000_000;
const forever = new AbortController().signal;

test('a hint that arrives during a claim makes the next wait return at once', async () => {
  const wakeup = createLocalWakeup();
  const work = new WorkSignal(wakeup);
  work.begin();
  wakeup.notify();
  await work.wait(NEVER, forever);
  work.close();
});

test('a hint ends a wait', async () => {
  const wakeup = createLocalWakeup();
  const work = new WorkSignal(wakeup);
  work.begin();
  const waiting = work.wait(NEVER, forever);
  wakeup.notify();
  await waiting;
  work.close();
});

test('a hint from before a claim does not end the wait after it', async () => {
  const wakeup = createLocalWakeup();
  const work = new WorkSignal(wakeup);
  wakeup.notify();
  work.begin();
  const stop = new AbortController();
  let ended = false;
  const waiting = work.wait(NEVER, stop.signal).then(() => (ended = true));
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(ended).toBe(false);
  stop.abort();
  await waiting;
  work.close();
});

test('a wait ends when its time is over, and at once when the signal has aborted', async () => {
  const work = new WorkSignal(createLocalWakeup());
  await work.wait(1, forever);
  await work.wait(NEVER, AbortSignal.abort());
  work.close();
});

test('a closed signal listens no longer', async () => {
  const wakeup = createLocalWakeup();
  const work = new WorkSignal(wakeup);
  work.begin();
  work.close();
  wakeup.notify();
  const stop = new AbortController();
  const waiting = work.wait(NEVER, stop.signal);
  stop.abort();
  await waiting;
});
