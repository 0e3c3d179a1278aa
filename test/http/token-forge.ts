import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SignJWT, type JWTHeaderParameters, type JWTPayload } from 'jose';
import type { TokenConfig } from '../../src/config.ts';
import { GenesisError } from '../../src/errors.ts';
import { createTokenVerifier, type TokenVerifier } from '../../src/http/tokens.ts';
import { SECRET } from './api-harness.ts';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'genesis';
export const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const rotated = generateKeyPairSync('rsa', { modulusLength: 2_048 });
export const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const ed = generateKeyPairSync('ed25519');

export const now = () => Math.floor(Date.now() / 1_000);
export const inAnHour = () => now() + 3_600;
export const claims = (changes: JWTPayload = {}): JWTPayload => ({
  sub: 'alice',
  iss: ISSUER,
  aud: AUDIENCE,
  exp: inAnHour(),
  ...changes,
});
export const encoded = (value: object | string) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token whose every byte we choose, with a true HMAC. */
export function hmac(header: object | string, payload: object | string, key: string | Buffer = SECRET): string {
  const signed = `${encoded(header)}.${encoded(payload)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

export function signed(header: JWTHeaderParameters, key: KeyObject, payload: JWTPayload = claims()): Promise<string> {
  return new SignJWT(payload).setProtectedHeader(header).sign(key);
}

export function withSecret(changes: Partial<TokenConfig> = {}): TokenVerifier {
  return createTokenVerifier({
    keys: { kind: 'secret', secret: SECRET },
    issuer: ISSUER,
    audience: AUDIENCE,
    rolesClaim: 'roles',
    clockTolerance: 5,
    ...changes,
  });
}

/** Why the verifier refuses the header. */
export async function reasonFor(verifier: TokenVerifier, authorization: string | undefined): Promise<unknown> {
  const error = await verifier.verify(authorization).then(
    () => 'accepted',
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof GenesisError)) return error;
  return error.code === 'UNAUTHENTICATED' ? error.details['reason'] : error.code;
}

export const HS256 = { alg: 'HS256', typ: 'JWT' };
