import { SignJWT } from 'jose';

/** What goes into a token for development. */
export interface DevelopmentTokenRequest {
  /** The shared secret, at least 32 bytes. */
  readonly secret: string;
  /** The token's `sub`, 1–255 characters. */
  readonly user: string;
  /** None: an author. */
  readonly roles: readonly string[];
  /** Name of the claim that lists the roles; `roles` unless the API is configured otherwise. */
  readonly rolesClaim?: string;
  readonly issuer?: string;
  readonly audience?: string;
  /** Seconds from now. */
  readonly expiresIn: number;
}

/** Signs a token with the shared secret (HS256). For development: in production an identity provider signs. */
export async function createDevelopmentToken(request: DevelopmentTokenRequest): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const token = new SignJWT({ [request.rolesClaim ?? 'roles']: [...request.roles] })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(request.user)
    .setIssuedAt(now)
    .setExpirationTime(now + request.expiresIn);
  if (request.issuer !== undefined) token.setIssuer(request.issuer);
  if (request.audience !== undefined) token.setAudience(request.audience);
  return token.sign(Buffer.from(request.secret));
}
