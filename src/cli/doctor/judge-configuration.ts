import { ConfigError, loadConfig, type Config } from '../../config.ts';
import { VARIABLES } from '../../variables.ts';
import { saysOf, type Check } from './check.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const says = saysOf('configuration');
const NAMES = Object.keys(VARIABLES);
/** A name that is so many letters from one of ours is taken for a slip of the pen. */
const SLIP = 2;

/** What the environment says, and what contradicts itself. */
export function judgeConfiguration(env: Environment): readonly Check[] {
  const set = NAMES.filter((name) => (env[name] ?? '') !== '');
  const names = set.length === 0 ? 'none' : set.join(', ');
  return [
    ...judgeRules(env),
    says.ok('variables', `set: ${names}; the other ${NAMES.length - set.length} by default`),
    ...judgeSlips(env),
  ];
}

function judgeRules(env: Environment): readonly Check[] {
  try {
    return judgeValues(loadConfig(env));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map((problem) => says.fail('values', problem, 'docs/configuration.md says what each takes'));
  }
}

function judgeValues(config: Config): readonly Check[] {
  const checks = [judgeTokens(config), judgePassword(config), judgeBatches(config)].filter((check) => check !== null);
  return checks.length > 0 ? checks : [says.ok('values', 'each is valid, none contradicts another')];
}

function judgeTokens({ database, production, tokenKeys, serviceType }: Config): Check | null {
  if (database === null || production || tokenKeys !== null || serviceType === 'message-relay') return null;
  const todo = 'set JWT_JWKS_URL or JWT_SECRET, and NODE_ENV=production';
  return says.warn('tokens', 'an API with this configuration verifies tokens by the development key', todo);
}

function judgePassword({ kafka }: Config): Check | null {
  if (kafka?.sasl?.mechanism !== 'PLAIN' || kafka.tls !== undefined) return null;
  return says.warn('KAFKA_TLS', 'KAFKA_SASL_PASSWORD goes over the network as it is', 'set KAFKA_TLS=true');
}

function judgeBatches({ relay: { batchSize, batchMax } }: Config): Check | null {
  if (batchSize <= batchMax) return null;
  const detail = `RELAY_BATCH_SIZE (${batchSize}) is above RELAY_BATCH_MAX (${batchMax})`;
  return says.warn('RELAY_BATCH_MAX', detail, 'set RELAY_BATCH_MAX to at least RELAY_BATCH_SIZE');
}

function judgeSlips(env: Environment): readonly Check[] {
  return Object.keys(env).flatMap((name) => {
    if (NAMES.includes(name)) return [];
    const meant = NAMES.find((known) => known.length > 2 * SLIP && distance(name, known) <= SLIP);
    if (meant === undefined) return [];
    return [says.warn('names', `${name} is set, but no variable of this program`, `if ${meant} is meant, name it so`)];
  });
}

/** How many letters must be changed, added or taken away, up to SLIP (Levenshtein). */
function distance(one: string, other: string, most = SLIP): number {
  if (one === other) return 0;
  if (most === 0) return 1;
  let same = 0;
  while (same < one.length && one.charAt(same) === other.charAt(same)) same += 1;
  const [rest, others] = [one.slice(same), other.slice(same)];
  if (Math.abs(rest.length - others.length) > most) return most + 1;
  return (
    1 +
    Math.min(
      distance(rest.slice(1), others.slice(1), most - 1),
      distance(rest.slice(1), others, most - 1),
      distance(rest, others.slice(1), most - 1),
    )
  );
}
