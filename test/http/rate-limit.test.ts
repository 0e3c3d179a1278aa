import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS, type HttpDependencies } from '../../src/http/ports.ts';
import { createRateLimit } from '../../src/http/rate-limit.ts';
import type { UserId } from '../../src/genesis/ids.ts';
import { VARIABLES } from '../../src/variables.ts';
import { call, COMMANDS, createApi, FEEDBACK, get, HTTP, post, SESSION_ID, SESSIONS, type Api } from './api-harness.ts';

/** A limit by a clock that a test moves, in milliseconds. */
function limitOf(perSecond: number, users?: number) {
  let time = 1e9 + 0.1;
  const limit = createRateLimit({ perSecond, now: () => time, ...(users === undefined ? {} : { users }) });
  const takes = (user: string, times: number) =>
    Array.from({ length: times }, () => limit.take(user as UserId)).filter((wait) => wait === 0).length;
  return { limit, takes, take: (user: string) => limit.take(user as UserId), pass: (ms: number) => (time += ms) };
}

describe('the rate limit of a user', () => {
  it('lets two seconds’ worth in at once, and then as many as the rate says', () => {
    const { takes, pass } = limitOf(50);
    expect(takes('alice', 200)).toBe(100);
    pass(1_000);
    expect(takes('alice', 200)).toBe(50);
    pass(200);
    expect(takes('alice', 200)).toBe(10);
    pass(3_600_000);
    expect(takes('alice', 200)).toBe(100);
  });

  it('says after how many milliseconds there is room again, and no sooner or later there is', () => {
    const { take, takes, pass } = limitOf(4);
    takes('alice', 8);
    expect(take('alice')).toBeCloseTo(250);
    pass(100);
    expect(take('alice')).toBeCloseTo(150);
    pass(149.9);
    expect(take('alice')).toBeGreaterThan(0);
    pass(0.2);
    expect(take('alice')).toBe(0);
  });

  it('charges nothing for a refusal: who keeps knocking gets the rate all the same', () => {
    const { take, takes, pass } = limitOf(10);
    takes('alice', 20);
    let admitted = 0;
    for (let ms = 0; ms < 10_000; ms += 1) {
      pass(1);
      if (take('alice') === 0) admitted += 1;
    }
    expect(admitted).toBeGreaterThanOrEqual(99);
    expect(admitted).toBeLessThanOrEqual(100);
  });

  it('of one user takes nothing from another', () => {
    const { takes } = limitOf(50);
    takes('alice', 1_000);
    expect(takes('bob', 200)).toBe(100);
  });

  it('0 is none', () => {
    const { limit, takes } = limitOf(0);
    expect(takes('alice', 10_000)).toBe(10_000);
    expect(limit.size).toBe(0);
  });

  it('never admits more than the burst and the rate in any window, whatever comes when', () => {
    const arrivals = fc.array(
      fc.record({ pause: fc.double({ min: 0, max: 3_000, noNaN: true }), count: fc.integer({ min: 1, max: 30 }) }),
      { minLength: 1, maxLength: 60 },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), arrivals, (perSecond, steps) => {
        const { take, pass } = limitOf(perSecond);
        const admitted: number[] = [];
        for (const { pause, count } of steps) {
          const time = pass(pause);
          for (let index = 0; index < count; index += 1) if (take('alice') === 0) admitted.push(time);
        }
        for (const [first, from] of admitted.entries()) {
          for (const [index, to] of admitted.slice(first).entries()) {
            expect(index + 1).toBeLessThanOrEqual(2 * perSecond + (perSecond * (to - from)) / 1_000 + 1e-6);
          }
        }
      }),
    );
  });

  it('never holds back who stays below the rate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 500 }), (perSecond, times) => {
        const { take, pass } = limitOf(perSecond);
        for (let index = 0; index < times; index += 1) {
          expect(take('alice')).toBe(0);
          pass(1_000 / perSecond);
        }
      }),
    );
  });
});

describe('its memory', () => {
  it('forgets users whose bucket is full again', () => {
    const { limit, takes, pass } = limitOf(50);
    for (let user = 0; user < 1_000; user += 1) takes(`user ${user}`, 3);
    expect(limit.size).toBe(1_000);
    pass(100);
    for (let user = 0; user < 1_000; user += 1) takes('alice', 1);
    expect(limit.size).toBe(1);
  });

  it('does not forget one that is not: coming back does not fill it', () => {
    const { takes, pass } = limitOf(50);
    takes('alice', 100);
    pass(100);
    for (let user = 0; user < 100; user += 1) takes(`user ${user}`, 1);
    expect(takes('alice', 100)).toBe(5);
  });

  it('has a bound, and gives up those who have been away longest', () => {
    const { limit, takes } = limitOf(50, 100);
    takes('away', 100);
    takes('busy', 100);
    for (let user = 0; user < 1_000; user += 1) {
      takes(`user ${user}`, 1);
      expect(takes('busy', 1)).toBe(0);
      expect(limit.size).toBeLessThanOrEqual(100);
    }
    expect(takes('away', 200)).toBe(100);
  });

  it('holds a hundred thousand users unless told otherwise', () => {
    const { limit, takes } = limitOf(1);
    for (let user = 0; user < 100_500; user += 1) takes(`user ${user}`, 1);
    expect(limit.size).toBe(100_000);
  });
});

const limited = (rateLimitPerUser: number, changes: Partial<HttpDependencies> = {}) =>
  createApi({ config: { ...HTTP, rateLimitPerUser }, ...changes });

/** Uses up what alice may send at once. */
const exhaust = async (api: Api, count: number) => {
  for (let index = 0; index < count; index += 1) expect((await get(api, SESSIONS)).statusCode).toBe(200);
};

describe('a request beyond the limit', () => {
  it('is a 429 that says when to come back, and reaches nobody', async () => {
    const api = limited(1);
    await exhaust(api, 2);
    const answer = await post(api, COMMANDS, FEEDBACK);
    expect(answer.statusCode).toBe(429);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/problem+json; charset=utf-8',
      'retry-after': '1',
      'ratelimit-policy': '"user";q=2;w=2',
      ratelimit: '"user";r=0;t=1',
    });
    expect(answer.json()).toMatchObject({ error_code: 'RATE_LIMITED', retry_after: 1, requests_per_second: 1 });
    expect(api.requests).toStrictEqual([]);
    expect(api.reads).toStrictEqual([]);
  });

  it.each([
    ['listing sessions', 'GET', SESSIONS],
    ['creating one', 'POST', SESSIONS],
    ['reading one', 'GET', `${SESSIONS}/${SESSION_ID}`],
    ['asking for its head', 'HEAD', `${SESSIONS}/${SESSION_ID}`],
    ['listing commands', 'GET', COMMANDS],
    ['reading one', 'GET', `${COMMANDS}/${SESSION_ID}`],
    ['reading events', 'GET', `${SESSIONS}/${SESSION_ID}/events`],
  ] as const)('%s counts', async (_what, method, url) => {
    const api = limited(1);
    const count = async () => (await call(api, method, url, method === 'POST' ? {} : undefined)).statusCode;
    const first = [await count(), await count()];
    expect(first).not.toContain(429);
    expect(await count()).toBe(429);
  });

  it('comes after 401 and before everything else', async () => {
    const api = limited(1);
    await exhaust(api, 2);
    const big = 'x'.repeat(DEFAULT_LIMITS.bodyBytes + 1);
    expect((await post(api, COMMANDS, big, { headers: { 'content-type': 'a/b' } })).statusCode).toBe(429);
    expect((await get(api, `${SESSIONS}/x?y=1`)).statusCode).toBe(429);
    expect((await get(api, SESSIONS, { headers: { authorization: 'Bearer x' } })).statusCode).toBe(401);
  });

  it('is the user’s own: roles and tokens do not matter, other users do not', async () => {
    const api = limited(1);
    await exhaust(api, 2);
    expect((await get(api, SESSIONS, { roles: ['operator'] })).statusCode).toBe(429);
    expect((await get(api, SESSIONS, { as: 'bob' })).statusCode).toBe(200);
  });

  it('is never caused by what is not authenticated, nor by what needs no token', async () => {
    const api = limited(1);
    for (let index = 0; index < 10; index += 1) {
      const forged = await get(api, SESSIONS, { headers: { authorization: 'Bearer a.b.c' } });
      expect(forged.statusCode).toBe(401);
      expect((await get(api, '/livez')).statusCode).toBe(200);
      expect((await get(api, '/nowhere')).statusCode).toBe(404);
    }
    await exhaust(api, 2);
  });

  it('does not exist with 0', async () => {
    await exhaust(limited(0), 20);
  });
});

it('docs/api.md tells what holds', () => {
  const document = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const perSecond = Number(VARIABLES.RATE_LIMIT_PER_USER.default);
  expect(document).toContain(`${perSecond} a second for each user, up to ${limitOf(perSecond).takes('alice', 1_000)}`);
  expect(document).toContain(`${DEFAULT_LIMITS.connections.toLocaleString('en')} to one process`);
});
