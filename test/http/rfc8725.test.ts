import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTokenVerifier, type TokenVerifier } from '../../src/http/tokens.ts';
import { createApi, SECRET, SESSIONS } from './api-harness.ts';
import { createKeyServer, type KeyServer } from './key-server.ts';
import {
  ES256,
  hmacOfBytes,
  json,
  jwk,
  p384,
  RS256,
  rs256,
  SECTIONS,
  weakRsa,
  type Attack,
  type Section,
} from './rfc8725-attacks.ts';
import {
  AUDIENCE,
  claims,
  ec,
  ed,
  hmac,
  HS256,
  ISSUER,
  now,
  reasonFor,
  rotated,
  rsa,
  signed,
  withSecret,
} from './token-forge.ts';

let issuer: KeyServer;
/** Whatever a forged header points to; it must never be asked. */
let attacker: KeyServer;
let byKeys: TokenVerifier;
const bySecret = withSecret();

beforeAll(async () => {
  [issuer, attacker] = [await createKeyServer(), await createKeyServer()];
  issuer.serve({
    rsa: rsa.publicKey,
    ec: ec.publicKey,
    ed: ed.publicKey,
    weak: weakRsa.publicKey,
    p384: p384.publicKey,
  });
  attacker.serve({ rsa: rotated.publicKey, evil: rotated.publicKey });
  byKeys = withSecret({ keys: { kind: 'jwks', url: issuer.url } });
});
afterAll(async () => {
  await Promise.all([issuer.close(), attacker.close()]);
});

describe.each(Object.entries<Section>(SECTIONS))('RFC 8725, %s', (_section, { keys = [], secret = [] }) => {
  if (keys.length > 0) {
    it.each(keys)('with public keys: %s', async (_what, token, reason) => {
      expect(await reasonFor(byKeys, `Bearer ${await token(attacker.url)}`)).toBe(reason);
      expect(attacker.requests).toBe(0);
    });
  }
  if (secret.length > 0) {
    it.each(secret)('with a secret: %s', async (_what, token, reason) => {
      expect(await reasonFor(bySecret, `Bearer ${await token(attacker.url)}`)).toBe(reason);
    });
  }
});

describe('the attacks', () => {
  it('try every section of the advice', () => {
    const sections = Object.keys(SECTIONS).map((title) => title.split(' ')[0]);
    expect(sections).toStrictEqual(Array.from({ length: 12 }, (_, index) => `3.${index + 1}`));
  });

  it('would be told from good tokens: what they forge is accepted when it is not forged', async () => {
    for (const token of [
      rs256(RS256, rsa.privateKey),
      await signed(ES256, ec.privateKey),
      rs256({ ...RS256, jku: attacker.url, jwk: jwk(rotated.publicKey) }, rsa.privateKey),
    ]) {
      expect(await reasonFor(byKeys, `Bearer ${token}`)).toBe('accepted');
    }
    for (const token of [
      hmac('{"alg":"none","alg":"HS256"}', claims()),
      hmacOfBytes(Buffer.from(JSON.stringify(claims({ sub: 'josé' })))),
      hmac({ ...HS256, cty: 'x' }, claims()),
    ]) {
      expect(await reasonFor(bySecret, `Bearer ${token}`)).toBe('accepted');
    }
    expect(attacker.requests).toBe(0);
  });

  it('by names that every object has give nobody a role', async () => {
    const token = hmac(HS256, json('"__proto__":{"roles":["agent"]}'));
    expect((await bySecret.verify(`Bearer ${token}`)).roles).toStrictEqual([]);
  });

  it('by a token anywhere but in the one header are told that there is none', async () => {
    const api = createApi({ tokens: createTokenVerifier({ ...RULES, keys: { kind: 'secret', secret: SECRET } }) });
    const token = hmac(HS256, claims());
    for (const [url, headers] of [
      [`${SESSIONS}?access_token=${token}`, {}],
      [SESSIONS, { cookie: `access_token=${token}` }],
      [SESSIONS, { 'proxy-authorization': `Bearer ${token}` }],
      [SESSIONS, { 'x-access-token': token }],
    ] as const) {
      const answer = await api.fastify.inject({ url, headers });
      expect(answer.json()).toMatchObject({ status: 401, reason: 'missing' });
      expect(answer.body).not.toContain(token);
    }
    const form = `access_token=${token}`;
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await api.fastify.inject({ method: 'POST', url: SESSIONS, headers: type, payload: form })).statusCode).toBe(
      401,
    );
  });
});

const RULES = { issuer: ISSUER, audience: AUDIENCE, rolesClaim: 'roles', clockTolerance: 5 };

describe('times', () => {
  const at = (name: string, offset: number) => () => hmac(HS256, { ...claims(), [name]: now() + offset });
  const as = (name: string, value: unknown) => () => hmac(HS256, { ...claims(), [name]: value });
  it.each<Attack>([
    ['exp, a second within the tolerance', at('exp', -3), 'accepted'],
    ['exp, at the end of the tolerance', at('exp', -5), 'expired'],
    ['exp of zero', as('exp', 0), 'expired'],
    ['exp below zero', as('exp', -1), 'expired'],
    ['exp as null', as('exp', null), 'claims'],
    ['exp as true', as('exp', true), 'claims'],
    ['exp in a list', as('exp', [9_999_999_999]), 'claims'],
    ['exp as a time in words', as('exp', '2099-01-01T00:00:00Z'), 'claims'],
    ['nbf at the end of the tolerance', at('nbf', 4), 'accepted'],
    ['nbf behind it', at('nbf', 7), 'not_yet_valid'],
    ['nbf as text', as('nbf', '0'), 'not_yet_valid'],
    ['nbf as null', as('nbf', null), 'not_yet_valid'],
    ['iat as text', as('iat', '0'), 'claims'],
    // RFC 7519, 4.1.6: iat tells the age, it forbids nothing.
    ['iat in the future', at('iat', 600), 'accepted'],
  ])('%s', async (_what, token, reason) => {
    expect(await reasonFor(bySecret, `Bearer ${await token(attacker.url)}`)).toBe(reason);
  });
});

describe('sizes', () => {
  const padded = (length: number) => {
    const short = `Bearer ${hmac(HS256, claims({ pad: '' }))}`;
    const [header = ''] = short.split('.');
    for (let pad = Math.floor(((length - short.length) * 3) / 4) - 2; ; pad += 1) {
      const token = `${header}.${hmac(HS256, claims({ pad: 'x'.repeat(pad) }))
        .split('.')
        .slice(1)
        .join('.')}`;
      if (token.length >= length) return token;
    }
  };
  it('are bounded before a byte is judged', async () => {
    const longest = padded(8_190);
    expect(longest.length).toBeLessThanOrEqual(8_192);
    expect(await reasonFor(bySecret, longest)).toBe('accepted');
    expect(await reasonFor(bySecret, padded(8_193))).toBe('malformed');
  });

  it('leave no room for nesting that would exhaust the stack', async () => {
    const deep = '['.repeat(2_500) + ']'.repeat(2_500);
    expect(await reasonFor(bySecret, `Bearer ${hmac(HS256, deep)}`)).toBe('malformed');
    expect(await reasonFor(bySecret, `Bearer ${hmac(deep, claims())}`)).toBe('malformed');
  });
});
