import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { isHost, Reader } from './config-reader.ts';
import { readTracing, type TracingConfig } from './config-tracing.ts';

export type ServiceType = 'api-gateway' | 'message-relay' | 'all';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** How to reach PostgreSQL. */
export interface DatabaseConfig {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  /** Most connections for commands and reads. */
  readonly poolSize: number;
}

/** How to reach Kafka. */
export interface KafkaConfig {
  /** host:port of the bootstrap brokers, at least one. */
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Replicas of the topic when it is created. Default 3. */
  readonly replication?: number;
  /** Undefined: plain text. */
  readonly tls?: { readonly ca?: string };
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    readonly password: string;
  };
}

/** Where the keys that verify tokens come from. */
export type TokenKeys =
  | { readonly kind: 'jwks'; readonly url: string }
  | { readonly kind: 'secret'; readonly secret: string };

export interface TokenRules {
  /** Checked if set; both are set with JWKS. */
  readonly issuer?: string;
  readonly audience?: string;
  /** Name of the claim that lists roles. */
  readonly rolesClaim: string;
  /** Seconds that clocks may differ. */
  readonly clockTolerance: number;
}

export interface TokenConfig extends TokenRules {
  readonly keys: TokenKeys;
}

export interface HttpConfig {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Milliseconds from a request's arrival to its answer. */
  readonly requestTimeout: number;
  /** Requests that one user may send in a second; 0: no limit. */
  readonly rateLimitPerUser: number;
}

export interface CommandConfig {
  /** Milliseconds after which an unanswered request fails. */
  readonly generationTimeout: number;
  /** Most commands in one transaction. */
  readonly batchMax: number;
  /** Most transactions at a time. */
  readonly transactionsMax: number;
  /** Most commands that wait. */
  readonly queueMax: number;
}

export interface RelayConfig {
  /** Milliseconds between looks at the outbox when no hint came. */
  readonly pollInterval: number;
  /** Most rows in one claim. */
  readonly batchSize: number;
  /** Most rows in one claim under a backlog. */
  readonly batchMax: number;
  readonly delivery: 'at-least-once' | 'exactly-once';
  /** Where a relay without API tells its health; null: nowhere. */
  readonly healthPort: number | null;
  /** What becomes of a row that the broker has refused for good: it holds its session, or its marker goes out in its place. */
  readonly onFailed: 'hold' | 'discard';
}

export interface OutboxConfig {
  /** Milliseconds for which published rows stay; null: for ever. */
  readonly retention: number | null;
}

export interface AgentConfig {
  /** Milliseconds that the example agent takes to answer a request; null: it does not run. */
  readonly delay: number | null;
}

export interface LocalConfig {
  /** Folder of the own PostgreSQL and Kafka and of the development key. */
  readonly dataDir: string;
  readonly postgresPort?: number;
  readonly kafkaPort?: number;
}

/** The whole configuration. Secrets are in it: it is never logged. */
export interface Config {
  readonly serviceType: ServiceType;
  readonly production: boolean;
  readonly logLevel: LogLevel;
  /** Null together with kafka: development infrastructure is started. */
  readonly database: DatabaseConfig | null;
  readonly kafka: KafkaConfig | null;
  /** What holds for a database or broker that this program starts itself. */
  readonly poolSize: number;
  readonly topic: string;
  readonly http: HttpConfig;
  readonly commands: CommandConfig;
  readonly relay: RelayConfig;
  readonly outbox: OutboxConfig;
  readonly agent: AgentConfig;
  /** Null: nothing is traced. */
  readonly tracing: TracingConfig | null;
  /** Null: the development key is used. */
  readonly tokenKeys: TokenKeys | null;
  readonly tokenRules: TokenRules;
  readonly local: LocalConfig;
}

/** One or more variables are wrong. The message names each, and what it takes. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/**
 * What a configuration is for. A tool, such as a migration job, needs no broker, no keys of tokens, and maybe no database.
 */
export type ConfigPurpose = 'services' | 'tool';

/**
 * Reads the environment once. An empty variable counts as unset.
 *
 * @throws ConfigError with every problem at once
 */
export function loadConfig(
  env: Readonly<Record<string, string | undefined>>,
  purpose: ConfigPurpose = 'services',
): Config {
  const reader = new Reader(env);
  const config = read(reader);
  if (purpose === 'services') checkRules(config, reader);
  if (reader.problems.length > 0) throw new ConfigError(reader.problems);
  return deepFreeze(config);
}

function read(reader: Reader): Config {
  const poolSize = reader.number('POSTGRES_POOL_SIZE', 2, 1_000);
  const topic = reader.topic('KAFKA_TOPIC');
  return {
    serviceType: reader.oneOf('SERVICE_TYPE', ['api-gateway', 'message-relay', 'all']),
    production: reader.optional('NODE_ENV') === 'production',
    logLevel: LOG_LEVELS[reader.oneOf('LOG_LEVEL', ['DEBUG', 'INFO', 'WARNING', 'ERROR'])],
    database: readDatabase(reader, poolSize),
    kafka: readKafka(reader, topic),
    poolSize,
    topic,
    http: {
      host: reader.text('HOST'),
      port: reader.number('PORT', 0, 65_535),
      requestTimeout: reader.seconds('REQUEST_TIMEOUT', 0.5, 300),
      rateLimitPerUser: reader.number('RATE_LIMIT_PER_USER', 0, 100_000),
    },
    commands: {
      generationTimeout: reader.seconds('GENERATION_TIMEOUT', 1, 604_800),
      batchMax: reader.number('COMMAND_BATCH_MAX', 1, 1_000),
      transactionsMax: reader.number('COMMAND_TRANSACTIONS', 1, 100),
      queueMax: reader.number('COMMAND_QUEUE_MAX', 1, 1_000_000),
    },
    relay: {
      pollInterval: reader.seconds('RELAY_POLL_INTERVAL', 0.01, 3_600),
      batchSize: reader.number('RELAY_BATCH_SIZE', 1, 10_000),
      batchMax: reader.number('RELAY_BATCH_MAX', 1, 10_000),
      delivery: reader.oneOf('RELAY_DELIVERY', ['at-least-once', 'exactly-once']),
      onFailed: reader.oneOf('RELAY_ON_FAILED', ['hold', 'discard']),
      healthPort: reader.optionalNumber('HEALTH_PORT', 1, 65_535) ?? null,
    },
    outbox: {
      retention: reader.text('OUTBOX_RETENTION') === 'off' ? null : reader.seconds('OUTBOX_RETENTION', 1, 315_360_000),
    },
    agent: { delay: reader.text('AGENT_DELAY') === 'off' ? null : reader.seconds('AGENT_DELAY', 0, 3_600) },
    tracing: readTracing(reader),
    tokenKeys: readTokenKeys(reader),
    tokenRules: {
      ...present('issuer', reader.optional('JWT_ISSUER')),
      ...present('audience', reader.optional('JWT_AUDIENCE')),
      rolesClaim: reader.text('JWT_ROLES_CLAIM'),
      clockTolerance: reader.number('JWT_CLOCK_TOLERANCE', 0, 300),
    },
    local: {
      dataDir: reader.text('LOCAL_DATA_DIR'),
      ...present('postgresPort', reader.optionalNumber('LOCAL_POSTGRES_PORT', 1, 65_535)),
      ...present('kafkaPort', reader.optionalNumber('LOCAL_KAFKA_PORT', 1, 65_535)),
    },
  };
}

const LOG_LEVELS = { DEBUG: 'debug', INFO: 'info', WARNING: 'warn', ERROR: 'error' } as const;

function readDatabase(reader: Reader, poolSize: number): DatabaseConfig | null {
  const url = reader.url('DATABASE_URL', ['postgres:', 'postgresql:']);
  const host = reader.host('POSTGRES_HOST');
  if (url !== undefined && host !== undefined)
    reader.problem('DATABASE_URL and POSTGRES_HOST exclude each other: set one of them');
  const port = reader.number('POSTGRES_PORT', 1, 65_535);
  if (url !== undefined) return { url, poolSize };
  if (host === undefined) return null;
  const [user, password, database] = [
    reader.text('POSTGRES_USER'),
    reader.text('POSTGRES_PASSWORD'),
    reader.text('POSTGRES_DB'),
  ];
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return { url: `postgres://${login}@${inAddress(host)}:${port}/${encodeURIComponent(database)}`, poolSize };
}

function readKafka(reader: Reader, topic: string): KafkaConfig | null {
  const list = reader.optional('KAFKA_BROKERS');
  const host = reader.host('KAFKA_HOST');
  const port = reader.number('KAFKA_PORT', 1, 65_535);
  const replication = reader.number('KAFKA_REPLICATION', 1, 32);
  const tls = readTls(reader);
  const sasl = readSasl(reader);
  if (list !== undefined && host !== undefined)
    reader.problem('KAFKA_BROKERS and KAFKA_HOST exclude each other: set one of them');
  if (list === undefined && host === undefined) return null;
  const brokers =
    list === undefined ? [`${inAddress(host ?? '')}:${port}`] : list.split(',').map((broker) => broker.trim());
  // Not repeated: it may hold a login that does not belong there.
  if (list !== undefined && !brokers.every(isBroker)) {
    reader.problem('KAFKA_BROKERS must be host:port, several separated by commas');
  }
  return { brokers, topic, replication, ...present('tls', tls), ...present('sasl', sasl) };
}

/** host:port, an IPv6 address in brackets. */
function isBroker(broker: string): boolean {
  const [, address = '', bracketed, port] = /^(\[(.*)\]|[^:]*):(\d{1,5})$/u.exec(broker) ?? [];
  const host = bracketed === undefined ? isHost(address) : isIPv6(bracketed);
  return host && Number(port) >= 1 && Number(port) <= 65_535;
}

/** A host as it stands before a port. */
function inAddress(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function readTls(reader: Reader): KafkaConfig['tls'] {
  const on = reader.oneOf('KAFKA_TLS', ['true', 'false']) === 'true';
  const file = reader.optional('KAFKA_TLS_CA_FILE');
  if (!on) {
    if (file !== undefined) reader.problem('KAFKA_TLS_CA_FILE needs KAFKA_TLS=true');
    return undefined;
  }
  if (file === undefined) return {};
  try {
    return { ca: readFileSync(file, 'utf8') };
  } catch {
    reader.problem(`KAFKA_TLS_CA_FILE: '${file}' cannot be read`);
    return {};
  }
}

function readSasl(reader: Reader): KafkaConfig['sasl'] {
  const username = reader.optional('KAFKA_SASL_USERNAME');
  const password = reader.optional('KAFKA_SASL_PASSWORD');
  if (reader.optional('KAFKA_SASL_MECHANISM') === undefined) {
    if (username !== undefined || password !== undefined) {
      reader.problem('KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need KAFKA_SASL_MECHANISM');
    }
    return undefined;
  }
  const mechanism = reader.oneOf('KAFKA_SASL_MECHANISM', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']);
  if (username === undefined || password === undefined) {
    reader.problem('KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD');
    return undefined;
  }
  return { mechanism, username, password };
}

function readTokenKeys(reader: Reader): TokenKeys | null {
  const url = reader.url('JWT_JWKS_URL', ['https:', 'http:']);
  const secret = reader.optional('JWT_SECRET');
  if (url !== undefined && secret !== undefined)
    reader.problem('JWT_JWKS_URL and JWT_SECRET exclude each other: set one of them');
  if (url !== undefined) {
    for (const name of ['JWT_ISSUER', 'JWT_AUDIENCE'] as const) {
      if (reader.optional(name) === undefined) reader.problem(`${name} must be set with JWT_JWKS_URL`);
    }
    return { kind: 'jwks', url };
  }
  if (secret === undefined) return null;
  // The value of a secret is never repeated in a message.
  if (Buffer.byteLength(secret) < 32) reader.problem('JWT_SECRET must have at least 32 bytes');
  return { kind: 'secret', secret };
}

/** Rules that concern more than one variable, for whoever runs services. */
function checkRules(config: Config, reader: Reader): void {
  const { database, kafka, production, tokenKeys, serviceType, commands } = config;
  if ((database === null) !== (kafka === null)) {
    const [given, missing] =
      database === null
        ? ['a broker', 'a database: set DATABASE_URL or POSTGRES_HOST']
        : ['a database', 'a broker: set KAFKA_BROKERS or KAFKA_HOST'];
    reader.problem(`${given} is configured without ${missing}, or neither for the program to start its own`);
  }
  if (production && database === null && kafka === null) {
    reader.problem(
      'NODE_ENV=production needs DATABASE_URL (or POSTGRES_HOST) and KAFKA_BROKERS (or KAFKA_HOST): the own PostgreSQL and Kafka are for development',
    );
  }
  if (production && tokenKeys === null && serviceType !== 'message-relay') {
    reader.problem('NODE_ENV=production needs JWT_JWKS_URL or JWT_SECRET: the development key is for development');
  }
  if (commands.transactionsMax >= config.poolSize)
    reader.problem('COMMAND_TRANSACTIONS must be below POSTGRES_POOL_SIZE');
}

function present<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [K in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { readonly [K in Name]?: Value });
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
