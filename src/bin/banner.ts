import type { Config, TokenKeys } from '../config.ts';
import { createDevelopmentToken } from '../http/development-token.ts';
import type { Infrastructure } from './infrastructure.ts';

const DAY = 86_400;

/** What somebody sees who has just started Genesis for the first time: where everything is, and what to try. */
export async function banner(
  config: Config,
  { database, kafka, origin }: Infrastructure,
  api: string | null,
  keys: TokenKeys | null,
): Promise<void> {
  const lines = [
    '',
    `  API         ${api ?? '(not in this process)'}`,
    `  PostgreSQL  ${database.url}`,
    `  Kafka       ${kafka.brokers.join(',')}   topic ${kafka.topic}`,
    ...(api === null || keys?.kind !== 'secret' ? [] : await tryIt(config, api, keys.secret)),
    '',
    `  ${whatHappens(config, origin)}`,
    '',
  ];
  console.log(lines.join('\n'));
}

/** What Ctrl-C ends, and what is to be seen here. */
function whatHappens({ serviceType }: Config, origin: Infrastructure['origin']): string {
  const end = origin === 'own' ? 'Ctrl-C stops everything.' : 'Ctrl-C stops this process; what it joined goes on.';
  return serviceType === 'api-gateway' ? end : `${end} Events appear below as this relay brings them to Kafka.`;
}

async function tryIt({ tokenRules }: Config, api: string, secret: string): Promise<readonly string[]> {
  const { rolesClaim, issuer, audience } = tokenRules;
  const token = await createDevelopmentToken({
    secret,
    user: 'ada',
    roles: [],
    rolesClaim,
    expiresIn: DAY,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  });
  return [
    '',
    '  Try it in another terminal:',
    '',
    `  curl -i -X POST ${api}/api/v1/genesis/sessions \\`,
    `    -H 'Authorization: Bearer ${token}' \\`,
    `    -H 'Content-Type: application/json' -d '{"title":"三体之外"}'`,
  ];
}
