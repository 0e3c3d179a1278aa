import { expect, it } from 'vitest';
import { COMMANDS, createApi, FEEDBACK, get, post, SESSIONS } from './api-harness.ts';

const WARN = 40;

it('turns commands away before it looks at token and body, while the queue is full, and nothing else', async () => {
  let full = true;
  const api = createApi({ overloaded: () => full });
  for (const url of [COMMANDS, SESSIONS]) {
    const answer = await post(api, url, '{', { headers: { authorization: 'Bearer nobody' } });
    expect(answer.statusCode).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.json()).toMatchObject({ error_code: 'OVERLOADED', instance: url });
  }
  expect((await get(api, COMMANDS)).statusCode).toBe(200);
  full = false;
  expect((await post(api, COMMANDS, FEEDBACK)).statusCode).toBe(200);
});

it('tells the log once a second how many were turned away', async () => {
  const api = createApi({ overloaded: () => true });
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
