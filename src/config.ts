export type ServiceType = 'api-gateway' | 'message-relay' | 'all';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** How to reach PostgreSQL. */
export interface DatabaseConfig {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  /** Connections for commands and reads, 1–1000. */
  readonly poolSize: number;
}

/** How to reach Kafka. */
export interface KafkaConfig {
  /** host:port of the bootstrap brokers, at least one. */
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Undefined: plain text. */
  readonly tls?: { readonly ca?: string };
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
    readonly username: string;
    readonly password: string;
  };
}

/** Where the keys that sign tokens come from. */
export type TokenKeys =
  | { readonly kind: 'jwks'; readonly url: string }
  | { readonly kind: 'secret'; readonly secret: string };

export interface TokenConfig {
  readonly keys: TokenKeys;
  /** Checked if set; both are required with JWKS. */
  readonly issuer?: string;
  readonly audience?: string;
  /** Name of the claim that lists roles. */
  readonly rolesClaim: string;
  /** Seconds that clocks may differ. */
  readonly clockTolerance: number;
}

export interface HttpConfig {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Milliseconds from a request's arrival to its answer. */
  readonly requestTimeout: number;
}

export interface RelayConfig {
  /** Milliseconds between looks at the outbox when no hint came. */
  readonly pollInterval: number;
  /** Most rows in one claim. */
  readonly batchSize: number;
}
