import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createApi, SESSIONS, type Api } from './api-harness.ts';
import { createKeyServer, type KeyServer } from './key-server.ts';
import { claims, now, reasonFor, rotated, rsa, signed, withSecret } from './token-forge.ts';
import type { TokenVerifier } from '../../src/http/tokens.ts';

let keys: KeyServer;
let verifier: TokenVerifier;
let api: Api;
let made = 0;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  keys = await createKeyServer();
  keys.serve({ old: rsa.publicKey });
  verifier = withSecret({ keys: { kind: 'jwks', url: keys.url } });
  api = createApi({ tokens: verifier });
});
afterEach(async () => {
  vi.useRealTimers();
  await keys.close();
});

const pass = (seconds: number) => vi.setSystemTime(Date.now() + seconds * 1_000);
/** A token that was never seen before, good for a day. */
async function token(kid: string): Promise<string> {
  made += 1;
  const payload = claims({ jti: `${made}`, exp: now() + 86_400 });
  return `Bearer ${await signed({ alg: 'RS256', kid }, (kid === 'new' ? rotated : rsa).privateKey, payload)}`;
}
const judge = async (kid: string) => reasonFor(verifier, await token(kid));
const list = async (authorization: string) => api.fastify.inject({ url: SESSIONS, headers: { authorization } });

describe('a new key', () => {
  it('works without a restart, beside the old one', async () => {
    expect((await list(await token('old'))).statusCode).toBe(200);
    keys.serve({ old: rsa.publicKey, new: rotated.publicKey });
    pass(31);
    expect((await list(await token('new'))).statusCode).toBe(200);
    expect((await list(await token('old'))).statusCode).toBe(200);
    expect(keys.requests).toBe(2);
  });

  it('works within half a minute of being published, however many tokens name unknown keys', async () => {
    await judge('old');
    pass(31);
    await judge('forged');
    keys.serve({ new: rotated.publicKey });
    expect(await judge('new')).toBe('signature');
    pass(30);
    expect(await judge('new')).toBe('accepted');
  });
});

describe('a key that was taken back', () => {
  it('stops working at the next look, which a busy service takes after five minutes', async () => {
    expect(await judge('old')).toBe('accepted');
    keys.serve({ new: rotated.publicKey });
    pass(301);
    expect(await judge('old')).toBe('accepted');
    await vi.waitFor(async () => expect(await judge('old')).toBe('signature'));
    expect(keys.requests).toBe(2);
  });

  it.each([541, 600, 3_000])('does not work for the first who comes after %i quiet seconds', async (quiet) => {
    const before = await token('old');
    expect((await list(before)).statusCode).toBe(200);
    keys.serve({ new: rotated.publicKey });
    pass(quiet);
    expect((await list(await token('old'))).statusCode).toBe(401);
    expect((await list(before)).statusCode).toBe(401);
    expect((await list(await token('new'))).statusCode).toBe(200);
    expect(keys.requests).toBe(2);
  });

  it('is not trusted after ten minutes by way of a token that was judged just before', async () => {
    await judge('old');
    keys.serve({ new: rotated.publicKey });
    pass(539);
    const late = await token('old');
    expect((await list(late)).statusCode).toBe(200);
    pass(61);
    expect((await list(late)).statusCode).toBe(401);
  });

  it('is trusted for an hour while nobody can say that it was taken back, and nobody waits for that twice', async () => {
    await judge('old');
    keys.serveRaw(500, '');
    pass(541);
    for (let index = 0; index < 20; index += 1) expect(await judge('old')).toBe('accepted');
    expect(keys.requests).toBe(2);
    keys.serve({ new: rotated.publicKey });
    pass(31);
    expect(await judge('old')).toBe('signature');
  });

  it('keeps one caller waiting, not all, while the server of the keys takes questions and never answers', async () => {
    await judge('old');
    keys.hold();
    pass(541);
    expect(await judge('old')).toBe('accepted');
    pass(2);
    const late = await token('old');
    const began = performance.now();
    expect(await reasonFor(verifier, late)).toBe('accepted');
    // Who waits, waits three seconds.
    expect(performance.now() - began).toBeLessThan(2_500);
  });
});

describe('keys that cannot be had', () => {
  it('are a 503 that says when to come back, not a 401', async () => {
    await keys.close();
    const answer = await list(await token('old'));
    expect(answer.json()).toMatchObject({ status: 503, error_code: 'UNAVAILABLE' });
    expect(answer.headers['retry-after']).toBe('1');
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect(answer.body).not.toContain(new URL(keys.url).host);
  });

  it('are a 503 when their server takes the question and never answers', async () => {
    keys.hold();
    const answers = await Promise.all(Array.from({ length: 20 }, async () => list(await token('old'))));
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toStrictEqual(new Set([503]));
    expect(keys.requests).toBe(1);
  });
});

describe('a flood of tokens', () => {
  const flood = async (count: number) => {
    const forged = await Promise.all(Array.from({ length: count }, (_, index) => token(`forged ${index}`)));
    return new Set(await Promise.all(forged.map((header) => reasonFor(verifier, header))));
  };

  it('with unknown keys asks for keys once, and again after half a minute at most', async () => {
    expect(await flood(100)).toStrictEqual(new Set(['signature']));
    expect(keys.requests).toBe(1);
    await flood(100);
    expect(keys.requests).toBe(1);
    for (let round = 2; round <= 4; round += 1) {
      pass(31);
      await flood(50);
      await flood(50);
      expect(keys.requests).toBe(round);
    }
    expect(await judge('old')).toBe('accepted');
  });

  it.each([
    ['an error', 500, ''],
    ['no JSON', 200, '<html>'],
    ['no key set', 200, '{}'],
    ['null', 200, 'null'],
    ['keys that are none', 200, '{"keys":[1]}'],
  ])('asks a server that answers with %s once a second at most', async (_what, status, body) => {
    keys.serveRaw(status, body);
    expect(await flood(50)).toStrictEqual(new Set(['UNAVAILABLE']));
    expect(await flood(50)).toStrictEqual(new Set(['UNAVAILABLE']));
    expect(keys.requests).toBe(1);
    pass(1);
    await flood(50);
    expect(keys.requests).toBe(2);
    keys.serve({ old: rsa.publicKey });
    pass(1);
    expect(await judge('old')).toBe('accepted');
  });

  it('leaves the keys at hand alone while their server is broken', async () => {
    expect(await judge('old')).toBe('accepted');
    keys.serveRaw(500, '');
    pass(31);
    await flood(20);
    expect(await judge('old')).toBe('accepted');
  });
});
