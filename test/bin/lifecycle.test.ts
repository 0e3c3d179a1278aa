import { pino } from 'pino';
import { beforeEach, expect, test } from 'vitest';
import { Lifecycle } from '../../src/bin/lifecycle.ts';
import type { Service } from '../../src/service.ts';

let happened: string[];
let lifecycle: Lifecycle;

beforeEach(() => {
  happened = [];
  lifecycle = new Lifecycle(pino({ level: 'silent' }));
});

function service(name: string, starting: Promise<void> = Promise.resolve()): Service {
  return {
    name,
    async start() {
      await starting;
      happened.push(`${name} started`);
    },
    async stop() {
      happened.push(`${name} stopped`);
    },
  };
}

test('services are stopped in reverse', async () => {
  await lifecycle.start(service('one'));
  await lifecycle.start(service('two'));
  await lifecycle.stop();
  expect(happened).toEqual(['one started', 'two started', 'two stopped', 'one stopped']);
});

test('what comes too late is not started, and stopped all the same: it may have begun something before', async () => {
  await lifecycle.stop();
  await expect(lifecycle.start(service('late'))).rejects.toThrow('late did not start: everything is being stopped');
  expect(happened).toEqual(['late stopped']);
});

test('what was starting while all was stopped is stopped when it has started', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const starting = lifecycle.start(service('slow', promise));
  await lifecycle.stop();
  resolve();
  await expect(starting).rejects.toThrow('slow did not start');
  expect(happened).toEqual(['slow stopped', 'slow started', 'slow stopped']);
});

test('one that does not stop cleanly keeps no other from it', async () => {
  await lifecycle.start(service('one'));
  await lifecycle.start({ ...service('two'), stop: () => Promise.reject(new Error('stuck')) });
  await lifecycle.stop();
  expect(happened).toEqual(['one started', 'two started', 'one stopped']);
});
