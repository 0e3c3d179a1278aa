import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { VARIABLES, type VariableName } from '../src/variables.ts';
import { both, database, kafka, problemsOf, type Environment } from './config-problems.ts';

const jwks = { JWT_JWKS_URL: 'https://id/jwks', JWT_ISSUER: 'https://id', JWT_AUDIENCE: 'genesis' };
const secret = { JWT_SECRET: 's'.repeat(32) };

describe('an empty environment', () => {
  it('gives the defaults', () => {
    expect(loadConfig({})).toStrictEqual({
      serviceType: 'all',
      production: false,
      logLevel: 'info',
      database: null,
      kafka: null,
      poolSize: 10,
      topic: 'domain-events',
      http: { host: '127.0.0.1', port: 8080, requestTimeout: 5_000, rateLimitPerUser: 50 },
      commands: { generationTimeout: 600_000, batchMax: 64, transactionsMax: 2, queueMax: 2_000 },
      relay: {
        pollInterval: 5_000,
        batchSize: 100,
        batchMax: 2_000,
        delivery: 'at-least-once',
        onFailed: 'hold',
        healthPort: null,
      },
      outbox: { retention: 604_800_000 },
      agent: { delay: 5_000 },
      tracing: null,
      tokenKeys: null,
      tokenRules: { rolesClaim: 'roles', clockTolerance: 5 },
      local: { dataDir: '.genesis' },
    });
  });

  it('is the same as one whose variables are empty', () => {
    const empty = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, '']));
    expect(loadConfig(empty)).toStrictEqual(loadConfig({}));
  });
});

describe('the configuration', () => {
  it('is frozen all the way down', () => {
    const config = loadConfig({ ...both, ...jwks });
    const parts: object[] = [config];
    for (const part of parts) {
      expect(Object.isFrozen(part)).toBe(true);
      parts.push(...Object.values(part).filter((value: unknown) => typeof value === 'object' && value !== null));
    }
    expect(parts).toContain(config.kafka?.brokers);
    expect(() => Object.assign(config.http, { port: 1 })).toThrow(TypeError);
  });

  it('does not depend on the environment once it was read', () => {
    const env: Partial<Record<VariableName, string>> = { PORT: '1' };
    const config = loadConfig(env);
    env.PORT = '2';
    expect(config.http.port).toBe(1);
  });
});

const NUMBERS: readonly [
  VariableName,
  min: number,
  max: number,
  read: (env: Environment) => unknown,
  besides?: Environment,
][] = [
  ['POSTGRES_POOL_SIZE', 2, 1_000, (env) => loadConfig(env).poolSize, { COMMAND_TRANSACTIONS: '1' }],
  ['PORT', 0, 65_535, (env) => loadConfig(env).http.port],
  ['COMMAND_BATCH_MAX', 1, 1_000, (env) => loadConfig(env).commands.batchMax],
  ['COMMAND_TRANSACTIONS', 1, 100, (env) => loadConfig(env).commands.transactionsMax, { POSTGRES_POOL_SIZE: '101' }],
  ['COMMAND_QUEUE_MAX', 1, 1_000_000, (env) => loadConfig(env).commands.queueMax],
  ['RELAY_BATCH_SIZE', 1, 10_000, (env) => loadConfig(env).relay.batchSize],
  ['RELAY_BATCH_MAX', 1, 10_000, (env) => loadConfig(env).relay.batchMax],
  ['JWT_CLOCK_TOLERANCE', 0, 300, (env) => loadConfig(env).tokenRules.clockTolerance],
  ['LOCAL_POSTGRES_PORT', 1, 65_535, (env) => loadConfig(env).local.postgresPort],
  ['LOCAL_KAFKA_PORT', 1, 65_535, (env) => loadConfig(env).local.kafkaPort],
  ['KAFKA_REPLICATION', 1, 32, (env) => loadConfig(env).kafka?.replication, both],
];

const SECONDS: readonly [VariableName, min: number, max: number, read: (env: Environment) => unknown][] = [
  ['REQUEST_TIMEOUT', 0.5, 300, (env) => loadConfig(env).http.requestTimeout],
  ['GENERATION_TIMEOUT', 1, 604_800, (env) => loadConfig(env).commands.generationTimeout],
  ['RELAY_POLL_INTERVAL', 0.01, 3_600, (env) => loadConfig(env).relay.pollInterval],
  ['OUTBOX_RETENTION', 1, 315_360_000, (env) => loadConfig(env).outbox.retention ?? 0],
  ['AGENT_DELAY', 0, 3_600, (env) => loadConfig(env).agent.delay],
];

describe('a number', () => {
  it.each(NUMBERS)('%s is whole, from %d to %d', (name, min, max, read, besides = {}) => {
    const told = (value: string) => [`${name} must be a whole number from ${min} to ${max}, not '${value}'`];
    for (const value of [min, max]) expect(read({ ...besides, [name]: String(value) })).toBe(value);
    for (const value of [
      `${min - 1}`,
      `${max + 1}`,
      `${min}.5`,
      'x',
      '1e1',
      '0x1',
      ' 5',
      '5 ',
      '+5',
      '٥',
      'Infinity',
    ]) {
      expect(problemsOf({ ...besides, [name]: value })).toEqual(told(value));
    }
  });

  it.each(SECONDS)('%s is a time from %d to %d seconds, kept in whole milliseconds', (name, min, max, read) => {
    const told = (value: string) => [`${name} must be a number from ${min} to ${max}, not '${value}'`];
    for (const value of [min, max]) expect(read({ [name]: String(value) })).toBe(value * 1_000);
    expect(read({ [name]: '1.005' })).toBe(1_005);
    for (const value of ['-1', String(max + 0.1), 'x', '5s', '.'])
      expect(problemsOf({ [name]: value })).toEqual(told(value));
  });

  it.each(['POSTGRES_PORT', 'KAFKA_PORT'] as const)('%s is a port from 1 to 65535', (name) => {
    for (const value of ['0', '65536', 'x']) {
      expect(problemsOf({ [name]: value })).toEqual([`${name} must be a whole number from 1 to 65535, not '${value}'`]);
    }
  });
});

describe('a choice', () => {
  const wrong: readonly [VariableName, string, Environment?][] = [
    ['SERVICE_TYPE', 'api-gateway, message-relay, all'],
    ['LOG_LEVEL', 'DEBUG, INFO, WARNING, ERROR'],
    ['KAFKA_TLS', 'true, false'],
    [
      'KAFKA_SASL_MECHANISM',
      'PLAIN, SCRAM-SHA-256, SCRAM-SHA-512',
      { KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' },
    ],
  ];
  it.each(wrong)('%s is one of %s', (name, values, besides = {}) => {
    expect(problemsOf({ ...besides, [name]: 'toString' })).toEqual([
      `${name} must be one of ${values}, not 'toString'`,
    ]);
  });

  it.each(['api-gateway', 'message-relay', 'all'] as const)('lets SERVICE_TYPE be %s', (type) => {
    expect(loadConfig({ SERVICE_TYPE: type }).serviceType).toBe(type);
  });

  it.each([
    ['DEBUG', 'debug'],
    ['INFO', 'info'],
    ['WARNING', 'warn'],
    ['ERROR', 'error'],
  ])("reads LOG_LEVEL %s as the logger's %s", (level, expected) => {
    expect(loadConfig({ LOG_LEVEL: level }).logLevel).toBe(expected);
  });

  it('lets AGENT_DELAY be off', () => {
    expect(loadConfig({ AGENT_DELAY: 'off' }).agent.delay).toBeNull();
  });
});

describe('the database', () => {
  it('is where DATABASE_URL says', () => {
    expect(loadConfig({ ...both, POSTGRES_POOL_SIZE: '7' }).database).toEqual({
      url: database.DATABASE_URL,
      poolSize: 7,
    });
    expect(loadConfig({ ...kafka, DATABASE_URL: 'postgresql://db/x' }).database?.url).toBe('postgresql://db/x');
  });

  it('is where the POSTGRES_ variables say, whatever is in them', () => {
    const env = {
      POSTGRES_HOST: '192.168.2.201',
      POSTGRES_PORT: '5433',
      POSTGRES_DB: 'a/b',
      POSTGRES_USER: 'u@x',
      POSTGRES_PASSWORD: 'p:/?#[]@% 密',
    };
    const url = new URL(loadConfig({ ...kafka, ...env }).database?.url ?? '');
    expect([url.hostname, url.port, decodeURIComponent(url.pathname)]).toEqual(['192.168.2.201', '5433', '/a/b']);
    expect([decodeURIComponent(url.username), decodeURIComponent(url.password)]).toEqual(['u@x', 'p:/?#[]@% 密']);
  });

  it('has defaults for everything but the host', () => {
    const { database } = loadConfig({ ...kafka, POSTGRES_HOST: 'db' });
    expect(database?.url).toBe('postgres://postgres:@db:5432/infinite_scribe');
  });

  it('may be at an IPv6 address', () => {
    expect(loadConfig({ ...kafka, POSTGRES_HOST: '::1' }).database?.url).toContain('@[::1]:5432/');
  });

  it.each(['db', 'mysql://u:p@db/x', 'http://db', 'postgres:db', 'postgres://db:99999/x', ' postgres://db/x'])(
    'cannot be at the URL %s',
    (DATABASE_URL) => {
      expect(problemsOf({ ...kafka, DATABASE_URL })).toEqual([
        'DATABASE_URL must be a URL that begins with postgres:// or postgresql://',
      ]);
    },
  );

  it('is told once', () => {
    expect(problemsOf({ ...both, POSTGRES_HOST: 'db' })).toEqual([
      'DATABASE_URL and POSTGRES_HOST exclude each other: set one of them',
    ]);
  });
});

describe('the keys of tokens', () => {
  it('come from a URL, with issuer and audience', () => {
    const { tokenKeys, tokenRules } = loadConfig({ ...jwks, JWT_ROLES_CLAIM: 'r', JWT_CLOCK_TOLERANCE: '0' });
    expect(tokenKeys).toEqual({ kind: 'jwks', url: 'https://id/jwks' });
    expect(tokenRules).toEqual({ issuer: 'https://id', audience: 'genesis', rolesClaim: 'r', clockTolerance: 0 });
  });

  it('come from a secret of at least 32 bytes', () => {
    expect(loadConfig(secret).tokenKeys).toEqual({ kind: 'secret', secret: 's'.repeat(32) });
    expect(loadConfig({ JWT_SECRET: '密'.repeat(11) }).tokenKeys).toMatchObject({ kind: 'secret' });
    expect(problemsOf({ JWT_SECRET: 's'.repeat(31) })).toEqual(['JWT_SECRET must have at least 32 bytes']);
  });

  it.each(['JWT_ISSUER', 'JWT_AUDIENCE'] as const)('from a URL need %s', (name) => {
    expect(problemsOf({ ...jwks, [name]: '' })).toEqual([`${name} must be set with JWT_JWKS_URL`]);
  });

  it('come from one place only', () => {
    expect(problemsOf({ ...jwks, ...secret })).toEqual([
      'JWT_JWKS_URL and JWT_SECRET exclude each other: set one of them',
    ]);
  });

  it.each(['file:///etc/keys', 'id/jwks', 'https:id'])('cannot come from %s', (JWT_JWKS_URL) => {
    expect(problemsOf({ ...jwks, JWT_JWKS_URL })).toEqual([
      'JWT_JWKS_URL must be a URL that begins with https:// or http://',
    ]);
  });
});

describe('what only holds together', () => {
  it('is a database with a broker: one alone is an error', () => {
    const [withoutBroker] = problemsOf(database);
    const [withoutDatabase] = problemsOf(kafka);
    expect(withoutBroker).toContain('a database is configured without a broker: set KAFKA_BROKERS or KAFKA_HOST');
    expect(withoutDatabase).toContain('a broker is configured without a database: set DATABASE_URL or POSTGRES_HOST');
  });

  it('is fewer transactions than connections', () => {
    const problem = ['COMMAND_TRANSACTIONS must be below POSTGRES_POOL_SIZE'];
    expect(problemsOf({ COMMAND_TRANSACTIONS: '9' })).toEqual([]);
    expect(problemsOf({ COMMAND_TRANSACTIONS: '10' })).toEqual(problem);
    expect(problemsOf({ POSTGRES_POOL_SIZE: '2' })).toEqual(problem);
  });
});

describe('production', () => {
  const production = { NODE_ENV: 'production' };

  it('is what NODE_ENV says', () => {
    expect(loadConfig({ ...production, ...both, ...secret }).production).toBe(true);
    expect(loadConfig({ NODE_ENV: 'test' }).production).toBe(false);
  });

  it('takes no infrastructure and no key of development', () => {
    expect(problemsOf(production)).toEqual([
      expect.stringMatching(/^NODE_ENV=production needs DATABASE_URL .* and KAFKA_BROKERS/u),
      expect.stringMatching(/^NODE_ENV=production needs JWT_JWKS_URL or JWT_SECRET/u),
    ]);
  });

  it('needs keys wherever there is an API', () => {
    expect(problemsOf({ ...production, ...both, SERVICE_TYPE: 'api-gateway' })).toHaveLength(1);
    expect(problemsOf({ ...production, ...both, SERVICE_TYPE: 'all' })).toHaveLength(1);
    expect(problemsOf({ ...production, ...both, SERVICE_TYPE: 'message-relay' })).toEqual([]);
    expect(problemsOf({ ...production, ...both, ...jwks })).toEqual([]);
  });
});

describe('the error', () => {
  it('tells of every problem at once', () => {
    const env = {
      PORT: 'x',
      LOG_LEVEL: 'x',
      POSTGRES_POOL_SIZE: 'x',
      ...database,
      POSTGRES_HOST: 'db',
      JWT_SECRET: 'short',
    };
    const named = ['POSTGRES_POOL_SIZE', 'LOG_LEVEL', 'DATABASE_URL', 'PORT', 'JWT_SECRET', 'a database is configured'];
    expect(problemsOf(env).map((problem) => named.find((name) => problem.startsWith(name)))).toEqual(named);
    expect(() => loadConfig(env)).toThrow(`The configuration is wrong:\n  ${problemsOf(env).join('\n  ')}`);
  });

  it('names a variable in each problem, and repeats no secret', () => {
    const hidden = 'hunter2';
    const values = fc.constantFrom(
      ...['', 'x', '-1', '1', '9999999', 'true', hidden, `${hidden} ${hidden}`, `http://u:${hidden}@h`],
      ...[
        `postgres://u:${hidden}@db/x`,
        `u:${hidden}@k:9092`,
        `nats://${hidden}`,
        'production',
        'k:9092',
        'PLAIN',
        'off',
      ],
    );
    const secrets: readonly string[] = [
      ...['DATABASE_URL', 'POSTGRES_PASSWORD', 'KAFKA_BROKERS', 'KAFKA_SASL_PASSWORD', 'JWT_SECRET', 'JWT_JWKS_URL'],
      ...['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_RESOURCE_ATTRIBUTES'],
      ...['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS'],
    ];
    const harmless = values.filter((value) => !value.includes(hidden));
    const names = Object.keys(VARIABLES);
    const environment = fc.record(
      Object.fromEntries(names.map((name) => [name, secrets.includes(name) ? values : harmless])),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(environment, (env) => {
        for (const problem of problemsOf(env)) {
          expect(names.filter((name) => problem.includes(name))).not.toEqual([]);
          expect(problem).not.toContain(hidden);
        }
      }),
      { numRuns: 500 },
    );
  });
});
