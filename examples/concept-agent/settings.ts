/** What the agent is told by its environment. */
export interface AgentSettings {
  /** Where the API is: http://host:port, without a path. */
  readonly api: string;
  /** A bearer token with the role `agent`. */
  readonly token: string;
  /** host:port of the bootstrap brokers. */
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Name of the consumer group: agents of the same group share the work. */
  readonly group: string;
  /** Milliseconds that making concepts takes, as a model call would. */
  readonly delay: number;
  /** Most records that are worked on at a time. */
  readonly concurrency: number;
  /** Milliseconds between two commits of offsets. */
  readonly commitInterval: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws Error that names the variable which is missing or wrong */
export function readSettings(env: Environment): AgentSettings {
  const api = required(env, 'GENESIS_API');
  if (!/^https?:$/.test(URL.parse(api)?.protocol ?? '')) throw new Error('GENESIS_API must be the URL of the API');
  return {
    api: api.replace(/\/+$/, ''),
    token: required(env, 'AGENT_TOKEN'),
    brokers: required(env, 'KAFKA_BROKERS').split(','),
    topic: optional(env, 'KAFKA_TOPIC') ?? 'domain-events',
    group: optional(env, 'AGENT_GROUP') ?? 'concept-agent',
    delay: number(env, 'AGENT_DELAY', { fallback: 5, min: 0, max: 3_600 }) * 1_000,
    concurrency: number(env, 'AGENT_CONCURRENCY', { fallback: 32, min: 1, max: 1_000 }),
    commitInterval: number(env, 'AGENT_COMMIT_INTERVAL', { fallback: 0.5, min: 0.01, max: 3_600 }) * 1_000,
  };
}

function optional(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === '' ? undefined : value;
}

function required(env: Environment, name: string): string {
  const value = optional(env, name);
  if (value === undefined) throw new Error(`${name} must be set`);
  return value;
}

function number(env: Environment, name: string, rule: { fallback: number; min: number; max: number }): number {
  const value = Number(optional(env, name) ?? rule.fallback);
  if (value >= rule.min && value <= rule.max) return value;
  throw new Error(`${name} must be a number from ${rule.min} to ${rule.max}`);
}
