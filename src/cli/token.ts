import { Command, InvalidArgumentError, Option } from 'commander';
import { loadConfig, type Config } from '../config.ts';
import { developmentKey } from '../http/development-key.ts';
import { createDevelopmentToken } from '../http/development-token.ts';

interface TokenOptions {
  readonly user: string;
  readonly role: readonly string[];
  readonly expiresIn: number;
}

/** `genesis token` */
export function tokenCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('token')
    .description('sign a token for development; prints nothing else')
    .requiredOption('--user <name>', 'who it is for: the `sub` of the token, 1–255 characters', parseUser)
    .addOption(
      new Option('--role <role...>', 'roles; without any the user is an author')
        .choices(['author', 'agent', 'operator'])
        .default([]),
    )
    .option('--expires-in <seconds>', 'how long it is valid', parseSeconds, 86_400)
    .addHelpText(
      'after',
      '\nSigned with JWT_SECRET or, without it, the development key in LOCAL_DATA_DIR. With JWT_JWKS_URL the identity provider signs.',
    )
    .action(async ({ user, role, expiresIn }: TokenOptions) => {
      const config = loadConfig(env, 'tool');
      const { rolesClaim, issuer, audience } = config.tokenRules;
      const token = await createDevelopmentToken({
        secret: await signingSecret(config),
        user,
        roles: role,
        rolesClaim,
        expiresIn,
        ...(issuer === undefined ? {} : { issuer }),
        ...(audience === undefined ? {} : { audience }),
      });
      console.log(token);
    });
}

async function signingSecret({ tokenKeys, production, local }: Config): Promise<string> {
  if (tokenKeys?.kind === 'jwks')
    throw new Error('JWT_JWKS_URL is set: tokens come from the identity provider, not from here');
  if (production) throw new Error('NODE_ENV=production: tokens are made for development only');
  if (tokenKeys !== null) return tokenKeys.secret;
  const { key, isNew } = await developmentKey(local.dataDir);
  if (isNew)
    console.error(`made a new development key in ${local.dataDir}: only an instance with this data folder knows it`);
  return key;
}

function parseUser(value: string): string {
  if (value.length < 1 || value.length > 255) throw new InvalidArgumentError('It must have 1 to 255 characters.');
  if (value === 'system')
    throw new InvalidArgumentError('`system` is the program itself: the API refuses such a token.');
  return value;
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!Number.isInteger(seconds) || seconds < 1)
    throw new InvalidArgumentError('It must be a whole number of seconds, at least 1.');
  return seconds;
}
