import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { choosePort } from '../../local/ports.ts';
import { runTool } from '../../local/processes.ts';
import { startKafkaCluster, type KafkaCluster } from '../kafka-cluster.ts';
import { startPostgresServer, type PostgresServer } from '../postgres-server.ts';
import { until } from '../until.ts';
import { Clients } from './clients.ts';
import { environment, MAIN, Program } from './program.ts';
import { startPrometheus, type PrometheusServer } from './prometheus-server.ts';

export interface StageOptions {
  /** Path of the program. */
  readonly prometheus: string;
  readonly folder: string;
  /** By how much the times of the rules are divided. */
  readonly factor: number;
}

const PARTITIONS = 8;
const TOPIC = 'domain-events';
const DATABASE = 'alerts';
/** Commands per second. */
const RATE = 20;
const JOBS = {
  api: 'genesis-api',
  relay: 'genesis-relay',
  otherRelay: 'genesis-relay',
  reconcile: 'genesis-reconcile',
};
type Role = keyof typeof JOBS;
type End = () => Promise<unknown>;

type Parts = Pick<Stage, 'postgres' | 'cluster' | 'prometheus' | 'programs' | 'clients' | 'env'> & {
  readonly ends: readonly End[];
};

/** Everything of one installation, each as a process of its own, and who watches it. */
export class Stage {
  readonly postgres: PostgresServer;
  readonly cluster: KafkaCluster;
  readonly prometheus: PrometheusServer;
  readonly programs: Readonly<Record<Role, Program>>;
  readonly clients: Clients;
  readonly topic = TOPIC;
  /** What every process is started with. */
  readonly env: Readonly<Record<string, string>>;
  readonly #ends: readonly End[];
  readonly #watched = new Set<Role>();

  private constructor(parts: Parts) {
    this.postgres = parts.postgres;
    this.cluster = parts.cluster;
    this.prometheus = parts.prometheus;
    this.programs = parts.programs;
    this.clients = parts.clients;
    this.env = parts.env;
    this.#ends = parts.ends;
  }

  /** Resolves once commands come in and events come out. If something does not start, what did is ended again. */
  static async open(options: StageOptions): Promise<Stage> {
    mkdirSync(options.folder, { recursive: true });
    const ends: End[] = [];
    try {
      return await Stage.#open(options, ends);
    } catch (error) {
      await endAll(ends);
      throw error;
    }
  }

  static async #open({ prometheus: program, folder, factor }: StageOptions, ends: End[]): Promise<Stage> {
    const postgres = await startPostgresServer(join(folder, 'postgres'));
    ends.push(() => postgres.stop());
    const cluster = await startKafkaCluster({ brokers: 1, folder });
    ends.push(() => cluster.stop());
    const databaseUrl = await postgres.createDatabase(DATABASE);
    await cluster.admin.createTopic(TOPIC, { partitions: PARTITIONS, ...cluster.replication });
    const secret = randomBytes(32).toString('hex');
    const env = {
      DATABASE_URL: databaseUrl,
      KAFKA_BROKERS: cluster.brokers.join(','),
      KAFKA_TOPIC: TOPIC,
      KAFKA_REPLICATION: '1',
      JWT_SECRET: secret,
      LOCAL_DATA_DIR: join(folder, 'data'),
      RATE_LIMIT_PER_USER: '0',
      // Small enough to be filled.
      COMMAND_QUEUE_MAX: '40',
      POSTGRES_POOL_SIZE: '4',
    };
    await runGenesis(env, ['migrate']);
    const programs = await createPrograms(folder, env);
    const prometheus = await startPrometheus({ program, folder: join(folder, 'prometheus'), factor });
    ends.push(() => prometheus.stop());
    ends.push(() => Promise.allSettled(Object.values(programs).map((one) => one.stop())));
    const clients = await Clients.create(programs.api.address, secret);
    ends.push(() => clients.stop());
    const stage = new Stage({ postgres, cluster, prometheus, programs, clients, env, ends });
    for (const role of ['api', 'relay', 'reconcile'] as const) await stage.start(role);
    clients.start(RATE);
    return stage;
  }

  /** Starts one of the programs and lets Prometheus know. */
  async start(role: Role, more: Parameters<Program['start']>[0] = {}): Promise<void> {
    this.watch(role);
    await this.programs[role].start(more);
  }

  /** Ends one of the programs; Prometheus goes on to look for it. */
  async stop(role: Role): Promise<void> {
    await this.programs[role].stop();
  }

  watch(role: Role, watched = true): void {
    if (watched) this.#watched.add(role);
    else this.#watched.delete(role);
    const targets: Record<string, string[]> = {};
    for (const one of this.#watched) (targets[JOBS[one]] ??= []).push(this.programs[one].address);
    this.prometheus.scrape(targets);
  }

  /** Commands come in again at their rate. */
  resumeLoad(): void {
    this.clients.start(RATE);
  }

  /** Runs `genesis …` to its end. @throws with what it said unless its exit code is 0 */
  async genesis(...args: readonly string[]): Promise<void> {
    await runGenesis(this.env, args);
  }

  /** One connection to the database, for as long as `use` takes. */
  async withDatabase<Result>(use: (client: pg.Client) => Promise<Result>): Promise<Result> {
    const client = new pg.Client({ connectionString: this.env['DATABASE_URL'] });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.withDatabase(async (client) => (await client.query<Row>(text, [...values])).rows);
  }

  /** Resolves once nothing is left to be published. */
  async untilPublished(): Promise<void> {
    await until('an empty backlog', async () => {
      const rows = await this.query(`SELECT 1 FROM event_outbox WHERE status = 'PENDING' LIMIT 1`);
      return rows.length === 0;
    });
  }

  /** Ends everything. */
  async close(): Promise<void> {
    await endAll(this.#ends);
  }
}

async function runGenesis(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<void> {
  const launch = { command: process.execPath, args: [MAIN, ...args], env: environment(env) };
  const { code, output } = await runTool(launch);
  if (code !== 0) throw new Error(`genesis ${args.join(' ')} ended with ${code}: ${output}`);
}

/** The last first; what cannot be ended keeps none of the others from it. */
async function endAll(ends: readonly End[]): Promise<void> {
  for (const end of ends.toReversed()) await end().catch(() => undefined);
}

async function createPrograms(
  folder: string,
  env: Readonly<Record<string, string>>,
): Promise<Readonly<Record<Role, Program>>> {
  const taken = new Set<number>();
  const port = () => choosePort({ variable: 'PORT', use: 'Genesis', taken });
  const [api, relay, otherRelay, reconcile] = [await port(), await port(), await port(), await port()];
  const relayAt = (own: number) => ({ folder, args: ['relay'], port: own, env: { ...env, HEALTH_PORT: String(own) } });
  const follow = ['reconcile', '--follow', '--interval', '1', '--metrics-port', String(reconcile)];
  return {
    api: new Program({ name: 'api', folder, args: ['api'], port: api, env: { ...env, PORT: String(api) } }),
    relay: new Program({ name: 'relay', ...relayAt(relay) }),
    otherRelay: new Program({ name: 'other-relay', ...relayAt(otherRelay) }),
    reconcile: new Program({ name: 'reconcile', folder, args: follow, port: reconcile, env }),
  };
}
