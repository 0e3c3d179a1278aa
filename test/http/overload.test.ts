import { expect, it } from 'vitest';
import { COMMANDS, createApi, FEEDBACK, get, post, SESSIONS } from './api-harness.ts';

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
