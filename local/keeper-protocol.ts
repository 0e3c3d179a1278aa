/** What parent and keeper say to each other. The end of the channel is a message too: the other side is gone. */

export interface KeeperOptions {
  /** Absolute, existing, without symbolic links. */
  readonly dataDir: string;
  /** Undefined: the remembered one, or a free one. */
  readonly postgresPort?: number;
  readonly kafkaPort?: number;
  /** False: nothing is forced to disk; for tests. */
  readonly durable: boolean;
}

export interface Endpoints {
  /** postgres://user:password@host:port/postgres, a superuser. */
  readonly postgresUrl: string;
  readonly postgresPort: number;
  /** host:port */
  readonly brokers: readonly string[];
}

export type ParentMessage = { readonly type: 'start'; readonly options: KeeperOptions } | { readonly type: 'stop' };

export type KeeperMessage =
  | { readonly type: 'progress'; readonly line: string }
  | ({ readonly type: 'running' } & Endpoints)
  /** Not started; `expected` is false for a defect of ours. Everything that was begun has ended. */
  | { readonly type: 'refused'; readonly sentence: string; readonly expected: boolean }
  /** PostgreSQL or Kafka ended by itself after `running`. */
  | { readonly type: 'died'; readonly sentence: string };
