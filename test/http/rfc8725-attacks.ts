import { createHmac, createPublicKey, createSign, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { SECRET } from './api-harness.ts';
import {
  AUDIENCE,
  claims,
  ec,
  ed,
  encoded,
  hmac,
  HS256,
  inAnHour,
  ISSUER,
  rotated,
  rsa,
  signed,
} from './token-forge.ts';

/** Keys that the issuer should not publish for us, but might: none of them may verify anything. */
export const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1_024 });
export const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });

export const jwk = (key: KeyObject) => key.export({ format: 'jwk' });
const pem = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' });
export const RS256 = { alg: 'RS256', kid: 'rsa', typ: 'JWT' };
export const ES256 = { alg: 'ES256', kid: 'ec', typ: 'JWT' };
const unsigned = (header: object, signature: string) => `${encoded(header)}.${encoded(claims())}.${signature}`;
/** An RSA signature over a header that no library would make. */
export function rs256(header: object, key: KeyObject = rotated.privateKey): string {
  const text = `${encoded(header)}.${encoded(claims())}`;
  return `${text}.${createSign('sha256').update(text).sign(key).toString('base64url')}`;
}
/** A true HMAC over bytes that need not be text. */
export function hmacOfBytes(payload: Buffer, header: Buffer = Buffer.from(JSON.stringify(HS256))): string {
  const text = `${header.toString('base64url')}.${payload.toString('base64url')}`;
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}
export const json = (changes: string) => JSON.stringify(claims({ jti: 'X' })).replace('"jti":"X"', changes);
/** r and s as they stand, 32 bytes each. */
const es256 = (r: string, s: string) => unsigned(ES256, Buffer.from(r + s, 'hex').toString('base64url'));
const ZERO = '00'.repeat(32);
/** The order of P-256 (FIPS 186-4, D.1.2.3). */
const ORDER = 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551';

/** `elsewhere` is the URL of keys of the attacker's. */
export type Attack = readonly [what: string, token: (elsewhere: string) => string | Promise<string>, reason: string];
/** What is tried, by the section of RFC 8725 that tells how to withstand it: with public keys, and with a shared secret. */
export interface Section {
  readonly keys?: readonly Attack[];
  readonly secret?: readonly Attack[];
}

export const SECTIONS = {
  '3.1 Perform Algorithm Verification': {
    keys: [
      ...['none', 'None', 'NONE', 'nOnE', 'none '].map((alg): Attack => [
        `alg ${alg}`,
        () => unsigned({ alg, kid: 'rsa' }, 'AA'),
        'algorithm',
      ]),
      ['no alg', () => rs256({ kid: 'rsa' }, rsa.privateKey), 'malformed'],
      ['alg null', () => rs256({ alg: null, kid: 'rsa' }, rsa.privateKey), 'malformed'],
      ['alg in lower case', () => rs256({ alg: 'rs256', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      ['alg in wide letters', () => rs256({ alg: 'ＲＳ256', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      ['alg __proto__', () => rs256({ alg: '__proto__', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      ['alg constructor', () => rs256({ alg: 'constructor', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      [
        'HS256 by the public key in PEM',
        () => hmac({ ...HS256, kid: 'rsa' }, claims(), pem(rsa.publicKey)),
        'algorithm',
      ],
      [
        'HS256 by the public key in PEM, trimmed',
        () => hmac({ ...HS256, kid: 'rsa' }, claims(), pem(rsa.publicKey).trim()),
        'algorithm',
      ],
      [
        'HS256 by the public key as JWK',
        () => hmac({ ...HS256, kid: 'rsa' }, claims(), JSON.stringify(jwk(rsa.publicKey))),
        'algorithm',
      ],
      [
        'HS256 by the modulus of the public key',
        () => hmac({ ...HS256, kid: 'rsa' }, claims(), Buffer.from(jwk(rsa.publicKey).n ?? '', 'base64url')),
        'algorithm',
      ],
      ['RS256 that names the EC key', () => rs256({ alg: 'RS256', kid: 'ec' }, rsa.privateKey), 'signature'],
      ['ES256 that names the RSA key', () => signed({ alg: 'ES256', kid: 'rsa' }, ec.privateKey), 'signature'],
      ['EdDSA that names the RSA key', () => signed({ alg: 'EdDSA', kid: 'rsa' }, ed.privateKey), 'signature'],
      ['a second alg, the last of which counts', () => hmac('{"alg":"RS256","alg":"none"}', claims()), 'algorithm'],
    ],
    secret: [
      ['a second alg, the last of which counts', () => hmac('{"alg":"HS256","alg":"none"}', claims()), 'algorithm'],
      ['ES256', () => signed({ alg: 'ES256' }, ec.privateKey), 'algorithm'],
      ['EdDSA', () => signed({ alg: 'EdDSA' }, ed.privateKey), 'algorithm'],
    ],
  },
  '3.2 Use Appropriate Algorithms': {
    keys: [
      ['RS384', () => signed({ alg: 'RS384', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      ['PS256', () => signed({ alg: 'PS256', kid: 'rsa' }, rsa.privateKey), 'algorithm'],
      ['ES384', () => signed({ alg: 'ES384', kid: 'p384' }, p384.privateKey), 'algorithm'],
      ['ES256 that names a key of another curve', () => unsigned({ alg: 'ES256', kid: 'p384' }, 'AA'), 'signature'],
    ],
    secret: [
      ['HS384', () => hmac({ alg: 'HS384' }, claims()), 'algorithm'],
      ['HS1', () => hmac({ alg: 'HS1' }, claims()), 'algorithm'],
    ],
  },
  '3.3 Validate All Cryptographic Operations': {
    keys: [
      ['r and s of zero', () => es256(ZERO, ZERO), 'signature'],
      ['r of zero', () => es256(ZERO, `${'00'.repeat(31)}01`), 'signature'],
      ['r and s of the order', () => es256(ORDER, ORDER), 'signature'],
      ['an ECDSA signature that is empty in its halves', () => es256('', '00'), 'signature'],
      [
        'an ECDSA signature in DER',
        () => {
          const text = `${encoded(ES256)}.${encoded(claims())}`;
          return `${text}.${sign('sha256', Buffer.from(text), ec.privateKey).toString('base64url')}`;
        },
        'signature',
      ],
      ['an ECDSA signature with a byte more', async () => `${await signed(ES256, ec.privateKey)}AA`, 'signature'],
      [
        'an EdDSA signature of zeros',
        () => unsigned({ alg: 'EdDSA', kid: 'ed' }, encoded('\0'.repeat(64))),
        'signature',
      ],
      ['an RSA signature of zeros', () => unsigned(RS256, encoded('\0'.repeat(256))), 'signature'],
      ['an RSA signature of one', () => unsigned(RS256, encoded(`${'\0'.repeat(255)}\u0001`)), 'signature'],
      [
        'the signature of another token',
        async () => unsigned(RS256, (await signed(RS256, rsa.privateKey, claims({ sub: 'bob' }))).split('.')[2] ?? ''),
        'signature',
      ],
      ['a critical extension', () => rs256({ ...RS256, crit: ['exp'], exp: 1 }, rsa.privateKey), 'malformed'],
    ],
    secret: [
      ['a token within a token', () => hmac({ ...HS256, cty: 'JWT' }, hmac(HS256, claims())), 'malformed'],
      ['a token within a token, as JSON', () => hmac(HS256, JSON.stringify(hmac(HS256, claims()))), 'malformed'],
      ['claims that pass for a token within', () => hmac({ ...HS256, cty: 'JWT' }, claims()), 'malformed'],
      ['crit as text', () => hmac({ ...HS256, crit: 'b64' }, claims()), 'malformed'],
      ['crit of what every header has', () => hmac({ ...HS256, crit: ['alg'] }, claims()), 'malformed'],
      ['crit of what is not there', () => hmac({ ...HS256, crit: ['b64'] }, claims()), 'malformed'],
      [
        'a payload that is not encoded (b64 false)',
        () => {
          const text = `${encoded({ ...HS256, crit: ['b64'], b64: false })}.${JSON.stringify(claims())}`;
          return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
        },
        'malformed',
      ],
      ['half an HMAC', () => hmac(HS256, claims()).slice(0, -21), 'signature'],
    ],
  },
  '3.4 Validate Cryptographic Inputs': {
    keys: [
      [
        'a point that is not on the curve, brought along',
        () => unsigned({ ...ES256, kid: 'x', jwk: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }, 'AA'),
        'signature',
      ],
      [
        'an ephemeral key (epk)',
        () => `${unsigned({ alg: 'ECDH-ES', enc: 'A128GCM', epk: {} }, 'AA')}.AA.AA`,
        'malformed',
      ],
    ],
  },
  '3.5 Ensure Cryptographic Keys Have Sufficient Entropy': {
    keys: [['an RSA key of 1,024 bits', () => rs256({ ...RS256, kid: 'weak' }, weakRsa.privateKey), 'signature']],
    secret: ['', 'secret', 'password', 'your-256-bit-secret', '\0'.repeat(32)].map((secret): Attack => [
      `the secret ${JSON.stringify(secret)}`,
      () => hmac(HS256, claims(), secret),
      'signature',
    ]),
  },
  '3.6 Avoid Compression of Encryption Inputs': {
    keys: [
      ['what is encrypted', () => `${unsigned({ alg: 'dir', enc: 'A128GCM', zip: 'DEF' }, 'AA')}.AA.AA`, 'malformed'],
    ],
  },
  '3.7 Use UTF-8': {
    secret: [
      ['UTF-16', () => hmacOfBytes(Buffer.from(JSON.stringify(claims()), 'utf16le')), 'malformed'],
      ['Latin 1', () => hmacOfBytes(Buffer.from(JSON.stringify(claims({ sub: 'jos\u00e9' })), 'latin1')), 'malformed'],
      [
        'a header in Latin 1',
        () => hmacOfBytes(Buffer.from(JSON.stringify(claims())), Buffer.from('{"alg":"HS256","x":"\u00e9"}', 'latin1')),
        'malformed',
      ],
    ],
  },
  '3.8 Validate Issuer and Subject': {
    secret: [
      ['no issuer', () => hmac(HS256, { sub: 'a', aud: AUDIENCE, exp: inAnHour() }), 'issuer'],
      ['an issuer in a list', () => hmac(HS256, { ...claims(), iss: [ISSUER] }), 'issuer'],
      ['an issuer with a slash more', () => hmac(HS256, claims({ iss: `${ISSUER}/` })), 'issuer'],
      ['an issuer in another case', () => hmac(HS256, claims({ iss: ISSUER.toUpperCase() })), 'issuer'],
      ['an issuer that only begins so', () => hmac(HS256, claims({ iss: `${ISSUER}.evil.example` })), 'issuer'],
      ['a second issuer, the last of which counts', () => hmac(HS256, json('"iss":"x"')), 'issuer'],
      ...[null, true, 7, [], ['alice'], {}].map((sub): Attack => [
        `the subject ${JSON.stringify(sub)}`,
        () => hmac(HS256, { ...claims(), sub }),
        'claims',
      ]),
    ],
  },
  '3.9 Use and Validate Audience': {
    secret: [
      ...['', `${AUDIENCE}2`, AUDIENCE.toUpperCase(), [], [['genesis']], { genesis: 1 }, 7, null].map((aud): Attack => [
        `the audience ${JSON.stringify(aud)}`,
        () => hmac(HS256, { ...claims(), aud }),
        'audience',
      ]),
    ],
  },
  '3.10 Do Not Trust Received Claims': {
    keys: [
      ...['../../../../dev/null', '/proc/sys/kernel/randomize_va_space', "x' UNION SELECT 'k", 'rsa\0', 'RSA', ''].map(
        (kid): Attack => [`the kid ${JSON.stringify(kid)}`, () => rs256({ ...RS256, kid }), 'signature'],
      ),
      ...['jku', 'x5u'].map((name): Attack => [
        `its keys elsewhere (${name})`,
        (elsewhere) => rs256({ ...RS256, kid: 'evil', [name]: elsewhere }),
        'signature',
      ]),
      ...['jku', 'x5u'].map((name): Attack => [
        `its keys elsewhere, under a kid of ours (${name})`,
        (elsewhere) => rs256({ ...RS256, [name]: elsewhere }),
        'signature',
      ]),
      ['its key itself (jwk)', () => rs256({ ...RS256, jwk: jwk(rotated.publicKey) }), 'signature'],
      ['its certificate (x5c)', () => rs256({ ...RS256, x5c: [pem(rotated.publicKey)] }), 'signature'],
      [
        'a key of ours of which it knows the public half',
        () => rs256({ ...RS256, jwk: jwk(createPublicKey(rsa.privateKey)) }),
        'signature',
      ],
      [
        'an iss that would be where to find keys',
        (elsewhere) => rs256({ ...RS256, kid: 'evil', iss: elsewhere }),
        'signature',
      ],
    ],
  },
  '3.11 Use Explicit Typing': {
    secret: ['', 'JOSE', 'JWT\n', 'dpop+jwt', 'secevent+jwt', 'id_token+jwt', 'xjwt', 7, null, ['JWT'], {}].map(
      (typ): Attack => [`the type ${JSON.stringify(typ)}`, () => hmac({ alg: 'HS256', typ }, claims()), 'malformed'],
    ),
  },
  '3.12 Use Mutually Exclusive Validation Rules for Different Kinds of JWTs': {
    keys: [
      [
        'a token for the client, not for us',
        () => signed(RS256, rsa.privateKey, claims({ aud: 'web-client' })),
        'audience',
      ],
      ['a logout token', () => signed({ ...RS256, typ: 'logout+jwt' }, rsa.privateKey), 'malformed'],
      ['our own development secret', () => hmac(HS256, claims()), 'algorithm'],
    ],
  },
} as const satisfies Record<string, Section>;
