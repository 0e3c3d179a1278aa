/** Every environment variable this program reads: its default (null: none) and what it means. docs/configuration.md is held to this table by a test. */
export const VARIABLES = {
  SERVICE_TYPE: { default: 'all', meaning: 'What `genesis start` runs: api-gateway, message-relay or all' },
  DATABASE_URL: {
    default: null,
    meaning: 'postgres://user:password@host:port/database, instead of the POSTGRES_ variables',
  },
  POSTGRES_HOST: { default: null, meaning: 'Host of PostgreSQL' },
  POSTGRES_PORT: { default: '5432', meaning: 'Port of PostgreSQL' },
  POSTGRES_DB: { default: 'infinite_scribe', meaning: 'Name of the database' },
  POSTGRES_USER: { default: 'postgres', meaning: 'User of the database' },
  POSTGRES_PASSWORD: { default: '', meaning: 'Password of that user' },
  POSTGRES_POOL_SIZE: {
    default: '10',
    meaning:
      'Most connections of one process, 2–1000; a relay has five of its own, and metrics two while somebody scrapes',
  },
  KAFKA_BROKERS: {
    default: null,
    meaning: 'host:port of the bootstrap brokers, separated by commas, instead of KAFKA_HOST and KAFKA_PORT',
  },
  KAFKA_HOST: { default: null, meaning: 'Host of a Kafka broker' },
  KAFKA_PORT: { default: '9092', meaning: 'Port of that broker' },
  KAFKA_TOPIC: { default: 'domain-events', meaning: 'Topic of the events' },
  KAFKA_REPLICATION: {
    default: '3',
    meaning: 'Replicas of the topic when it is created, 1–32; min.insync.replicas becomes one less, at least 1',
  },
  KAFKA_TLS: { default: 'false', meaning: 'true: connect by TLS' },
  KAFKA_TLS_CA_FILE: { default: null, meaning: 'PEM file with the certificate authority of the brokers' },
  KAFKA_SASL_MECHANISM: { default: null, meaning: 'PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512' },
  KAFKA_SASL_USERNAME: { default: null, meaning: 'User of the brokers' },
  KAFKA_SASL_PASSWORD: { default: null, meaning: 'Password of that user' },
  HOST: { default: '127.0.0.1', meaning: 'Address that the API listens on' },
  PORT: { default: '8080', meaning: 'Port that the API listens on; 0: a free one' },
  HEALTH_PORT: {
    default: null,
    meaning: 'Port on which a relay without API answers /livez, /readyz and /metrics; without it, it does not listen',
  },
  REQUEST_TIMEOUT: { default: '5', meaning: 'Seconds until a request is answered at the latest, 0.5–300' },
  RATE_LIMIT_PER_USER: {
    default: '50',
    meaning: 'Requests per second that one user may send to one API process, 0–100000; 0: no limit',
  },
  GENERATION_TIMEOUT: {
    default: '600',
    meaning: 'Seconds after which an unanswered RequestConceptGeneration fails, 1–604800',
  },
  COMMAND_BATCH_MAX: { default: '64', meaning: 'Most commands in one transaction, 1–1000' },
  COMMAND_TRANSACTIONS: {
    default: '2',
    meaning: 'Most command transactions at a time, 1–100, below POSTGRES_POOL_SIZE',
  },
  COMMAND_QUEUE_MAX: {
    default: '2000',
    meaning:
      'Most commands that wait for a transaction, 1–1000000; more wait at the door for a fifth of REQUEST_TIMEOUT, 4 s at the most, then get 503',
  },
  JWT_SECRET: {
    default: null,
    meaning:
      'Secret of HS256 tokens, at least 32 bytes. Without it and JWT_JWKS_URL one is made on the first start; not with NODE_ENV=production',
  },
  JWT_JWKS_URL: { default: null, meaning: 'URL of the JSON Web Key Set that verifies tokens (RS256, ES256, EdDSA)' },
  JWT_ISSUER: { default: null, meaning: 'Required `iss`; obligatory with JWT_JWKS_URL' },
  JWT_AUDIENCE: { default: null, meaning: 'Required `aud`; obligatory with JWT_JWKS_URL' },
  JWT_ROLES_CLAIM: { default: 'roles', meaning: 'Claim that lists the roles: agent, operator' },
  JWT_CLOCK_TOLERANCE: { default: '5', meaning: 'Seconds that clocks may differ, 0–300' },
  RELAY_POLL_INTERVAL: {
    default: '5',
    meaning: 'Seconds between looks at the outbox when nothing woke the relay, 0.01–3600',
  },
  RELAY_BATCH_SIZE: { default: '100', meaning: 'Most events in one claim, 1–10000' },
  RELAY_BATCH_MAX: { default: '2000', meaning: 'Most events in one claim under a backlog, 1–10000' },
  RELAY_DELIVERY: {
    default: 'at-least-once',
    meaning: 'at-least-once or exactly-once (docs/delivery.md); the same for all relays of a database',
  },
  RELAY_ON_FAILED: {
    default: 'hold',
    meaning:
      'What becomes of an event that the broker refuses for good: hold (its session waits for an operator) or discard (a marker goes out in its place)',
  },
  OUTBOX_RETENTION: {
    default: '604800',
    meaning: 'Seconds for which published rows stay in event_outbox, 1–315360000; off: for ever',
  },
  AGENT_DELAY: {
    default: '5',
    meaning:
      'Seconds that the example agent takes to answer a request, 0–3600; off: there is none. It runs only beside the own PostgreSQL and Kafka',
  },
  LOG_LEVEL: { default: 'INFO', meaning: 'DEBUG, INFO, WARNING or ERROR' },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    default: null,
    meaning:
      'URL of an OTLP receiver, to which /v1/traces is added; this or the next one turns traces on (docs/tracing.md)',
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    default: null,
    meaning: 'The same with its path, taken as it is; wins over OTEL_EXPORTER_OTLP_ENDPOINT',
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    default: null,
    meaning: 'Headers of each export, secrets: name=value, several separated by commas, special characters as %XX',
  },
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: { default: null, meaning: 'More of them; these win' },
  OTEL_EXPORTER_OTLP_PROTOCOL: { default: 'http/json', meaning: 'http/json: nothing else is spoken' },
  OTEL_TRACES_SAMPLER: {
    default: 'parentbased_always_on',
    meaning:
      'Which traces are recorded: always_on, always_off, traceidratio, or, as the caller has decided and else so, parentbased_always_on, parentbased_always_off, parentbased_traceidratio',
  },
  OTEL_TRACES_SAMPLER_ARG: { default: '1', meaning: 'Part of the traces that traceidratio records, 0–1' },
  OTEL_SERVICE_NAME: {
    default: null,
    meaning: 'service.name of the spans; without it genesis-api, genesis-relay, or genesis for both in one process',
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    default: null,
    meaning: 'More that is told of this process: name=value, several separated by commas, special characters as %XX',
  },
  OTEL_SDK_DISABLED: { default: 'false', meaning: 'true: no traces, whatever else is set' },
  NODE_ENV: { default: null, meaning: 'production: development keys and development infrastructure are refused' },
  LOCAL_DATA_DIR: { default: '.genesis', meaning: 'Folder of the own PostgreSQL and Kafka and of the development key' },
  LOCAL_POSTGRES_PORT: { default: null, meaning: 'Port of the own PostgreSQL; without it a free one' },
  LOCAL_KAFKA_PORT: { default: null, meaning: 'Port of the own Kafka; without it a free one' },
} as const satisfies Record<string, { default: string | null; meaning: string }>;

export type VariableName = keyof typeof VARIABLES;
