import { afterEach, describe, expect, it, vi } from 'vitest';
import { createKeyServer, type KeyServer } from './key-server.ts';
import {
  claims,
  ec,
  ed,
  encoded,
  hmac,
  HS256,
  now,
  reasonFor,
  rotated,
  rsa,
  signed,
  withSecret,
} from './token-forge.ts';

describe('keys at a JWKS URL', () => {
  const servers: KeyServer[] = [];
  afterEach(async () => {
    vi.useRealTimers();
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  async function keyServer(): Promise<KeyServer> {
    const server = await createKeyServer();
    servers.push(server);
    server.serve({ rsa: rsa.publicKey, ec: ec.publicKey, ed: ed.publicKey });
    return server;
  }
  const withKeysAt = (url: string) => withSecret({ keys: { kind: 'jwks', url } });

  it.each([
    ['RS256', { alg: 'RS256', kid: 'rsa' }, rsa.privateKey],
    ['ES256', { alg: 'ES256', kid: 'ec' }, ec.privateKey],
    ['EdDSA', { alg: 'EdDSA', kid: 'ed' }, ed.privateKey],
    ['no kid, where only one key fits', { alg: 'RS256' }, rsa.privateKey],
  ])('verify %s', async (_what, header, key) => {
    const { url } = await keyServer();
    expect(await reasonFor(withKeysAt(url), `Bearer ${await signed(header, key)}`)).toBe('accepted');
  });

  const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  it.each<[string, () => string | Promise<string>, string]>([
    ['the public key as an HMAC secret', () => hmac({ alg: 'HS256', kid: 'rsa' }, claims(), publicPem), 'algorithm'],
    [
      'the public key in DER as an HMAC secret',
      () => hmac(HS256, claims(), rsa.publicKey.export({ type: 'spki', format: 'der' })),
      'algorithm',
    ],
    ['our own development secret', () => hmac(HS256, claims()), 'algorithm'],
    ['alg none', () => `${encoded({ alg: 'none' })}.${encoded(claims())}.AA`, 'algorithm'],
    ['PS256', () => signed({ alg: 'PS256', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
    ['RS512', () => signed({ alg: 'RS512', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
    ['another key under a known kid', () => signed({ alg: 'RS256', kid: 'rsa' }, rotated.privateKey), 'signature'],
    ['a kid of another kind of key', () => signed({ alg: 'RS256', kid: 'ec' }, rsa.privateKey), 'signature'],
    ['an unknown kid', () => signed({ alg: 'RS256', kid: "x' OR 1=1 --" }, rsa.privateKey), 'signature'],
    ['a kid that is no string', () => signed({ alg: 'RS256', kid: { $ne: 1 } as never }, rsa.privateKey), 'signature'],
    [
      'a key that it brings along',
      async () => {
        const jwk = rotated.publicKey.export({ format: 'jwk' });
        return signed({ alg: 'RS256', jwk }, rotated.privateKey);
      },
      'signature',
    ],
    [
      'an ECDSA signature of zeros (CVE-2022-21449)',
      () => `${encoded({ alg: 'ES256', kid: 'ec' })}.${encoded(claims())}.${encoded('\0'.repeat(64))}`,
      'signature',
    ],
    ['another issuer', () => signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey, claims({ iss: 'x' })), 'issuer'],
  ])('refuse %s', async (_what, token, reason) => {
    const { url } = await keyServer();
    expect(await reasonFor(withKeysAt(url), `Bearer ${await token()}`)).toBe(reason);
  });

  it('are fetched once, not per token', async () => {
    const server = await keyServer();
    const verifier = withKeysAt(server.url);
    const tokens = await Promise.all(
      ['a', 'b', 'c'].map((sub) => signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey, claims({ sub }))),
    );
    await Promise.all(tokens.map((token) => verifier.verify(`Bearer ${token}`)));
    expect(server.requests).toBe(1);
  });

  it('may be several that fit: then a token must say which', async () => {
    const server = await keyServer();
    server.serve({ one: rsa.publicKey, two: rotated.publicKey });
    const verifier = withKeysAt(server.url);
    expect(await reasonFor(verifier, `Bearer ${await signed({ alg: 'RS256' }, rsa.privateKey)}`)).toBe('signature');
    expect(await reasonFor(verifier, `Bearer ${await signed({ alg: 'RS256', kid: 'one' }, rsa.privateKey)}`)).toBe(
      'accepted',
    );
  });

  it('are fetched again when a token names a new one, but not for each such token', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = await keyServer();
    const verifier = withKeysAt(server.url);
    await verifier.verify(`Bearer ${await signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey)}`);
    server.serve({ new: rotated.publicKey });
    const rotatedToken = `Bearer ${await signed({ alg: 'RS256', kid: 'new' }, rotated.privateKey)}`;
    expect(await reasonFor(verifier, rotatedToken)).toBe('signature');
    expect(server.requests).toBe(1);
    vi.setSystemTime(Date.now() + 31_000);
    expect(await reasonFor(verifier, rotatedToken)).toBe('accepted');
    expect(server.requests).toBe(2);
    expect(await reasonFor(verifier, `Bearer ${await signed({ alg: 'RS256', kid: 'x' }, rsa.privateKey)}`)).toBe(
      'signature',
    );
    expect(server.requests).toBe(2);
  });

  it('that are away are UNAVAILABLE, not the user’s fault', async () => {
    const server = await keyServer();
    await server.close();
    const verifier = withKeysAt(server.url);
    expect(await reasonFor(verifier, `Bearer ${await signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey)}`)).toBe(
      'UNAVAILABLE',
    );
    expect(await reasonFor(verifier, `Bearer ${hmac(HS256, claims())}`)).toBe('algorithm');
  });

  it.each([
    ['an error', 500, '{"keys":[]}'],
    ['a redirect', 302, ''],
    ['no JSON', 200, 'hello'],
    ['no key set', 200, '{}'],
  ])('served as %s are UNAVAILABLE, and not asked for again at once', async (_what, status, body) => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = await keyServer();
    server.serveRaw(status, body);
    const verifier = withKeysAt(server.url);
    const header = `Bearer ${await signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey)}`;
    expect(await reasonFor(verifier, header)).toBe('UNAVAILABLE');
    expect(await reasonFor(verifier, header)).toBe('UNAVAILABLE');
    expect(server.requests).toBe(1);
    server.serve({ rsa: rsa.publicKey });
    vi.setSystemTime(Date.now() + 1_000);
    expect(await reasonFor(verifier, header)).toBe('accepted');
  });

  it('that were there stay good for an hour while their server is away', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const server = await keyServer();
    const verifier = withKeysAt(server.url);
    const token = async (sub: string) =>
      `Bearer ${await signed({ alg: 'RS256', kid: 'rsa' }, rsa.privateKey, claims({ sub, exp: now() + 7_200 }))}`;
    await verifier.verify(await token('a'));
    await server.close();
    vi.setSystemTime(Date.now() + 3_500_000);
    expect(await reasonFor(verifier, await token('b'))).toBe('accepted');
    vi.setSystemTime(Date.now() + 110_000);
    expect(await reasonFor(verifier, await token('c'))).toBe('UNAVAILABLE');
  });
});
