import { afterEach, describe, expect, it, vi } from 'vitest';
import { GenesisError } from '../../src/errors.ts';
import { createDevelopmentToken } from '../../src/http/development-token.ts';
import { createTokenVerifier } from '../../src/http/tokens.ts';
import { SECRET } from './api-harness.ts';
import {
  AUDIENCE,
  claims,
  encoded,
  hmac,
  HS256,
  inAnHour,
  ISSUER,
  now,
  reasonFor,
  rsa,
  signed,
  withSecret,
} from './token-forge.ts';

describe('a good token', () => {
  it('says who sent the request, with which roles, and until when', async () => {
    const exp = inAnHour();
    const token = hmac(HS256, claims({ exp, roles: ['agent', 'x'] }));
    expect(await withSecret().verify(`Bearer ${token}`)).toStrictEqual({
      userId: 'alice',
      roles: ['agent', 'x'],
      expiresAt: exp * 1_000,
    });
  });

  it.each([
    ['absent', {}, []],
    ['null', { roles: null }, []],
    ['an empty list', { roles: [] }, []],
    ['words', { roles: ' agent  operator ' }, ['agent', 'operator']],
  ])('roles may be %s', async (_what, changes, roles) => {
    const principal = await withSecret().verify(`Bearer ${hmac(HS256, claims(changes))}`);
    expect(principal.roles).toStrictEqual(roles);
  });

  it('may carry its roles in another claim', async () => {
    const verifier = withSecret({ rolesClaim: 'https://genesis.example/roles' });
    const token = hmac(HS256, claims({ 'https://genesis.example/roles': ['agent'], roles: ['operator'] }));
    expect((await verifier.verify(`Bearer ${token}`)).roles).toStrictEqual(['agent']);
  });

  it.each([
    ['in any case', `bEaReR ${hmac(HS256, claims())}`],
    ['after several spaces', `Bearer   ${hmac(HS256, claims())}`],
    ['without typ', `Bearer ${hmac({ alg: 'HS256' }, claims())}`],
    ['as RFC 9068 has it', `Bearer ${hmac({ alg: 'HS256', typ: 'application/at+jwt' }, claims())}`],
    ['for several audiences', `Bearer ${hmac(HS256, claims({ aud: ['x', AUDIENCE] }))}`],
    ['just expired, within the tolerance', `Bearer ${hmac(HS256, claims({ exp: now() - 2 }))}`],
    ['not yet valid, within the tolerance', `Bearer ${hmac(HS256, claims({ nbf: now() + 2 }))}`],
    ['of a user with a long name', `Bearer ${hmac(HS256, claims({ sub: '名'.repeat(255) }))}`],
  ])('%s', async (_what, header) => {
    expect(await reasonFor(withSecret(), header)).toBe('accepted');
  });

  it('needs neither issuer nor audience when none is configured', async () => {
    const verifier = createTokenVerifier({
      keys: { kind: 'secret', secret: SECRET },
      rolesClaim: 'roles',
      clockTolerance: 0,
    });
    expect(await reasonFor(verifier, `Bearer ${hmac(HS256, { sub: 'a', exp: inAnHour() })}`)).toBe('accepted');
  });

  it('never expires later than a date can say', async () => {
    const principal = await withSecret().verify(`Bearer ${hmac(HS256, claims({ exp: 1e300 }))}`);
    expect(Number.isNaN(new Date(principal.expiresAt).getTime())).toBe(false);
  });
});

describe('attacks (RFC 8725) with a shared secret', () => {
  const good = () => hmac(HS256, claims());
  const parts = (token: string) => token.split('.') as [string, string, string];
  const none = (alg: string) => `${encoded({ alg, typ: 'JWT' })}.${encoded(claims())}`;

  it.each<[string, () => string | undefined | Promise<string>, string]>([
    ['no header', () => undefined, 'missing'],
    ['an empty one', () => '', 'missing'],
    ['another scheme', () => 'Basic YTpi', 'missing'],
    ['a scheme that only begins so', () => `Bearerx ${good()}`, 'missing'],
    ['no token', () => 'Bearer', 'malformed'],
    ['only spaces', () => 'Bearer   ', 'malformed'],
    ['a tab', () => `Bearer \t${good()}`, 'malformed'],
    ['two tokens', () => `Bearer ${good()} ${good()}`, 'malformed'],
    ['two headers, joined', () => `Bearer ${good()}, Bearer ${good()}`, 'malformed'],
    ['a space inside', () => `Bearer ${good().replace('.', '. ')}`, 'malformed'],
    ['a line break at the end', () => `Bearer ${good()}\n`, 'malformed'],
    ['quotes', () => `Bearer "${good()}"`, 'malformed'],
    ['padding', () => `Bearer ${good()}=`, 'malformed'],
    ['letters of plain base64', () => `Bearer ${good()}+/`, 'malformed'],
    ['a huge token', () => `Bearer ${'a'.repeat(100_000)}.${'b'.repeat(10)}.c`, 'malformed'],
    ['one part', () => `Bearer ${parts(good())[0]}`, 'malformed'],
    ['four parts', () => `Bearer ${good()}.x`, 'malformed'],
    ['five parts (JWE)', () => `Bearer ${good()}.x.y`, 'malformed'],
    ['no signature', () => `Bearer ${parts(good()).slice(0, 2).join('.')}.`, 'malformed'],
    ['alg none', () => `Bearer ${none('none')}.`, 'malformed'],
    ['alg none, signed', () => `Bearer ${none('none')}.${parts(good())[2]}`, 'algorithm'],
    ['alg nOnE', () => `Bearer ${none('nOnE')}.AA`, 'algorithm'],
    ['no alg', () => `Bearer ${hmac({ typ: 'JWT' }, claims())}`, 'malformed'],
    ['alg that is no string', () => `Bearer ${hmac({ alg: ['HS256'] }, claims())}`, 'malformed'],
    ['alg in lower case', () => `Bearer ${hmac({ alg: 'hs256' }, claims())}`, 'algorithm'],
    ['HS512', () => `Bearer ${hmac({ alg: 'HS512' }, claims())}`, 'algorithm'],
    [
      'RS256 where a secret is expected',
      async () => `Bearer ${await signed({ alg: 'RS256' }, rsa.privateKey)}`,
      'algorithm',
    ],
    ['a header that is no JSON', () => `Bearer ${hmac('{"alg":', claims())}`, 'malformed'],
    ['a header that is no object', () => `Bearer ${hmac('"HS256"', claims())}`, 'malformed'],
    ['claims that are no JSON', () => `Bearer ${hmac(HS256, '{')}`, 'malformed'],
    ['claims that are no object', () => `Bearer ${hmac(HS256, '[]')}`, 'malformed'],
    ['crit that nobody knows', () => `Bearer ${hmac({ ...HS256, crit: ['x'], x: 1 }, claims())}`, 'malformed'],
    ['crit that is empty', () => `Bearer ${hmac({ ...HS256, crit: [] }, claims())}`, 'malformed'],
    ['b64 false', () => `Bearer ${hmac({ ...HS256, crit: ['b64'], b64: false }, claims())}`, 'malformed'],
    [
      'a key of its own (jwk)',
      () => `Bearer ${hmac({ ...HS256, jwk: { kty: 'oct', k: 'AA' } }, claims(), Buffer.from([0]))}`,
      'signature',
    ],
    [
      'a key elsewhere (jku, kid)',
      () => `Bearer ${hmac({ ...HS256, jku: 'http://127.0.0.1:1', kid: '../../dev/null' }, claims(), '')}`,
      'signature',
    ],
    ['another secret', () => `Bearer ${hmac(HS256, claims(), 'x'.repeat(32))}`, 'signature'],
    ['the empty secret', () => `Bearer ${hmac(HS256, claims(), '')}`, 'signature'],
    [
      'changed claims',
      () => `Bearer ${parts(good())[0]}.${encoded(claims({ sub: 'bob' }))}.${parts(good())[2]}`,
      'signature',
    ],
    ['a token for logging out', () => `Bearer ${hmac({ alg: 'HS256', typ: 'logout+jwt' }, claims())}`, 'malformed'],
    ['expired', () => `Bearer ${hmac(HS256, claims({ exp: now() - 6 }))}`, 'expired'],
    ['no exp', () => `Bearer ${hmac(HS256, { sub: 'a', iss: ISSUER, aud: AUDIENCE })}`, 'claims'],
    ['exp as text', () => `Bearer ${hmac(HS256, { ...claims(), exp: '9999999999' })}`, 'claims'],
    [
      'exp never',
      () => `Bearer ${hmac(HS256, JSON.stringify(claims({ exp: 9 })).replace('"exp":9', '"exp":1e999'))}`,
      'claims',
    ],
    ['not yet valid', () => `Bearer ${hmac(HS256, claims({ nbf: now() + 60 }))}`, 'not_yet_valid'],
    ['another issuer', () => `Bearer ${hmac(HS256, claims({ iss: 'https://evil.example' }))}`, 'issuer'],
    ['another audience', () => `Bearer ${hmac(HS256, claims({ aud: 'other' }))}`, 'audience'],
    ['no audience', () => `Bearer ${hmac(HS256, { sub: 'a', iss: ISSUER, exp: inAnHour() })}`, 'audience'],
    ['no sub', () => `Bearer ${hmac(HS256, { iss: ISSUER, aud: AUDIENCE, exp: inAnHour() })}`, 'claims'],
    ['an empty sub', () => `Bearer ${hmac(HS256, claims({ sub: '' }))}`, 'claims'],
    ['a sub that is no string', () => `Bearer ${hmac(HS256, { ...claims(), sub: 7 })}`, 'claims'],
    ['a sub too long', () => `Bearer ${hmac(HS256, claims({ sub: 'x'.repeat(256) }))}`, 'claims'],
    ['a sub with NUL', () => `Bearer ${hmac(HS256, claims({ sub: 'a\0' }))}`, 'claims'],
    ['the name of the program itself as its sub', () => `Bearer ${hmac(HS256, claims({ sub: 'system' }))}`, 'claims'],
    ['a sub with half a surrogate pair', () => `Bearer ${hmac(HS256, claims({ sub: 'a\ud800' }))}`, 'claims'],
    ['roles that are a number', () => `Bearer ${hmac(HS256, claims({ roles: 1 }))}`, 'claims'],
    ['roles that are no strings', () => `Bearer ${hmac(HS256, claims({ roles: ['agent', 1] }))}`, 'claims'],
  ])('%s', async (_what, header, reason) => {
    expect(await reasonFor(withSecret(), await header())).toBe(reason);
  });

  it('is told by one message, which says nothing of the token', async () => {
    const error: unknown = await withSecret()
      .verify(`Bearer ${good()}x`)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(GenesisError);
    expect(error).toMatchObject({ message: 'A valid bearer token is needed', details: { reason: 'signature' } });
  });

  it('a roles claim named like a member of every object finds nothing there', async () => {
    const verifier = withSecret({ rolesClaim: 'constructor' });
    expect((await verifier.verify(`Bearer ${good()}`)).roles).toStrictEqual([]);
  });
});

describe('a token that was judged before', () => {
  afterEach(() => vi.useRealTimers());

  it('still expires when it says so', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const verifier = withSecret();
    const header = `Bearer ${hmac(HS256, claims({ exp: now() + 10 }))}`;
    const first = await verifier.verify(header);
    expect(await verifier.verify(header)).toBe(first);
    vi.setSystemTime(Date.now() + 14_000);
    expect(await verifier.verify(header)).toBe(first);
    vi.setSystemTime(Date.now() + 2_000);
    expect(await reasonFor(verifier, header)).toBe('expired');
  });

  it('is judged anew after a minute', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const verifier = withSecret();
    const header = `Bearer ${hmac(HS256, claims())}`;
    const first = await verifier.verify(header);
    vi.setSystemTime(Date.now() + 60_000);
    const second = await verifier.verify(header);
    expect(second).not.toBe(first);
    expect(second).toStrictEqual(first);
  });

  it('is forgotten for newer ones: memory has a bound', async () => {
    const verifier = withSecret();
    const headers = Array.from({ length: 10_001 }, (_, index) => `Bearer ${hmac(HS256, claims({ sub: `u${index}` }))}`);
    const [oldest = '', newest = ''] = [headers[0], headers[10_000]];
    const first = await verifier.verify(oldest);
    for (const header of headers) await verifier.verify(header);
    expect(await verifier.verify(oldest)).not.toBe(first);
    expect(await verifier.verify(newest)).toBe(await verifier.verify(newest));
  });
});

describe('an unsafe configuration is refused', () => {
  it('a short secret', () => {
    expect(() => withSecret({ keys: { kind: 'secret', secret: 'x'.repeat(31) } })).toThrow(/32 bytes/);
    expect(() => withSecret({ keys: { kind: 'secret', secret: '中'.repeat(11) } })).not.toThrow();
  });

  it.each(['issuer', 'audience'] as const)('a JWKS URL without %s', (missing) => {
    const { [missing]: _, ...rest } = { issuer: ISSUER, audience: AUDIENCE };
    const config = {
      keys: { kind: 'jwks', url: 'https://x.example' },
      rolesClaim: 'roles',
      clockTolerance: 0,
      ...rest,
    } as const;
    expect(() => createTokenVerifier(config)).toThrow(/issuer and the audience/);
  });
});

describe('a development token', () => {
  it('is one that the API accepts', async () => {
    const token = await createDevelopmentToken({
      secret: SECRET,
      user: 'dev',
      roles: ['operator'],
      rolesClaim: 'groups',
      issuer: ISSUER,
      audience: AUDIENCE,
      expiresIn: 60,
    });
    const principal = await withSecret({ rolesClaim: 'groups' }).verify(`Bearer ${token}`);
    expect(principal).toMatchObject({ userId: 'dev', roles: ['operator'] });
    expect(principal.expiresAt).toBeGreaterThan(Date.now());
    expect(principal.expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
  });
});
