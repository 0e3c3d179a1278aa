import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { acceptance, COMMANDS, createApi, FEEDBACK, get, HTTP, post, SESSIONS, tokenOf } from './api-harness.ts';
import { connectRaw } from './raw-connection.ts';

const WARN = 40;

/** A queue that is full until somebody says otherwise. */
function fullQueue() {
  let listener = (): void => undefined;
  return {
    room: 0,
    whenRoom(told: () => void) {
      listener = told;
    },
    makeRoom(places: number) {
      this.room = places;
      listener();
    },
  };
}

it('turns commands away before it looks at token and body, while the queue stays full, and nothing else', async () => {
  const queue = fullQueue();
  const api = createApi({ queue });
  for (const url of [COMMANDS, SESSIONS]) {
    const answer = await post(api, url, '{', { headers: { authorization: 'Bearer nobody' } });
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.json()).toMatchObject({ error_code: 'OVERLOADED', instance: url });
  }
  expect((await get(api, COMMANDS)).statusCode).toBe(200);
  queue.room = 1;
  expect((await post(api, COMMANDS, FEEDBACK)).statusCode).toBe(200);
});

it('takes who waited at the door when there is room, and tells the queue for how long', async () => {
  const queue = fullQueue();
  let depth = { waiting: 0 };
  const api = createApi({
    queue,
    meter: {
      answered: () => undefined,
      accepted: () => undefined,
      refused: () => undefined,
      watchDoor: (door) => {
        depth = door;
      },
    },
  });
  const answers = [post(api, COMMANDS, FEEDBACK), post(api, COMMANDS, FEEDBACK)];
  await expect.poll(() => depth.waiting).toBe(2);
  expect(api.requests).toHaveLength(0);
  queue.makeRoom(2);
  expect((await Promise.all(answers)).map(({ statusCode }) => statusCode)).toEqual([200, 200]);
  for (const { waited } of api.requests) expect(waited).toBeGreaterThan(0);
});

it('gives the place of a request that is refused for itself to the next one', async () => {
  const queue = fullQueue();
  const api = createApi({ queue });
  const stranger = post(api, COMMANDS, FEEDBACK, { headers: { authorization: 'Bearer nobody' } });
  const author = post(api, COMMANDS, FEEDBACK);
  await expect.poll(() => queue.room).toBe(0);
  queue.makeRoom(1);
  expect((await stranger).statusCode).toBe(401);
  expect((await author).statusCode).toBe(200);
});

it('counts a command at the queue once it is there, not at the door any more', async () => {
  const queue = fullQueue();
  queue.room = 2;
  const never = new Promise<never>(() => {});
  let count = 0;
  const api = createApi({
    queue,
    commands: {
      execute: async (request) => {
        queue.room -= 1;
        count += 1;
        return count === 1 ? never : acceptance(request);
      },
    },
  });
  void post(api, COMMANDS, FEEDBACK);
  await expect.poll(() => count).toBe(1);
  expect((await post(api, COMMANDS, FEEDBACK)).statusCode).toBe(200);
});

it('gives the place of somebody who has gone to the next one at once', async () => {
  const queue = fullQueue();
  queue.room = 1;
  const api = createApi({ queue, config: { ...HTTP, requestTimeout: 20_000 } });
  onTestFinished(() => api.fastify.close());
  await api.fastify.listen({ host: '127.0.0.1', port: 0 });
  const { port } = api.fastify.server.address() as AddressInfo;
  const arrived = new Promise<void>((resolve) => api.fastify.server.once('request', () => resolve()));
  const head = `POST ${COMMANDS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n`;
  const token = await tokenOf('alice');
  const { socket } = await connectRaw(port, `${head}Authorization: Bearer ${token}\r\n\r\n{`);
  await arrived;
  const began = performance.now();
  const next = post(api, COMMANDS, FEEDBACK);
  socket.resetAndDestroy();
  expect((await next).statusCode).toBe(200);
  expect(performance.now() - began).toBeLessThan(1_500);
});

it('waits a fifth of the time limit', async () => {
  const began = performance.now();
  const api = createApi({ queue: fullQueue(), config: { ...HTTP, requestTimeout: 1_000 } });
  expect((await post(api, COMMANDS, FEEDBACK)).statusCode).toBe(503);
  expect(performance.now() - began).toBeGreaterThanOrEqual(199);
  expect(performance.now() - began).toBeLessThan(400);
});

it('tells the log once a second how many were turned away', async () => {
  const api = createApi({ queue: fullQueue() });
  await Promise.all(Array.from({ length: 20 }, () => post(api, COMMANDS, FEEDBACK)));
  const told = api.log.lines.filter(({ level }) => level === WARN);
  expect(told).toHaveLength(1);
  expect(told[0]).toMatchObject({ code: 'OVERLOADED', turned_away_before: 0 });
  await expect
    .poll(
      async () => {
        await post(api, COMMANDS, FEEDBACK);
        return api.log.lines.filter(({ level }) => level === WARN).length;
      },
      { timeout: 5_000 },
    )
    .toBe(2);
  const again = api.log.lines.findLast(({ level }) => level === WARN);
  expect(again?.['turned_away_before']).toBeGreaterThanOrEqual(19);
});
