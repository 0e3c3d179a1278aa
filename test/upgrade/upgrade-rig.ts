import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admin } from '@platformatic/kafka';
import pg from 'pg';
import { collectTables, collectTopic } from '../../faults/judge/collect.ts';
import { Evidence } from '../../faults/judge/evidence.ts';
import { judge, type Verdict } from '../../faults/judge/judge.ts';
import { until } from '../../faults/until.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { HttpClients, SECRET } from './http-clients.ts';
import { runToEnd, ServiceProcess, type Environment, type Version } from './service-process.ts';

/** Partitions of the topic: as many as the first migration says. */
const SHARDS = 8;
/** What must have happened in a mixture of versions before it counts: commands, and events that reached the topic. */
const ENOUGH = 60;
/** Milliseconds: for what hangs, not for what is slow on a busy machine. */
const PATIENT = { within: 120_000 };

/** One database and one topic, clients that never stop, and replicas of any version that come and go. */
export class UpgradeRig {
  readonly folder: string;
  readonly clients: HttpClients;
  readonly #env: Environment;
  readonly #brokers: readonly string[];
  readonly #topic: string;
  readonly #database: pg.Pool;
  readonly #databaseUrl: string;
  readonly #dropDatabase: () => Promise<void>;
  readonly #evidence: Evidence;
  readonly #apis: ServiceProcess[] = [];
  readonly #relays: ServiceProcess[] = [];
  readonly #errors: string[] = [];

  private constructor(folder: string, database: Awaited<ReturnType<typeof createEmptyDatabase>>, env: Environment) {
    this.folder = folder;
    this.#databaseUrl = database.url;
    this.#dropDatabase = () => database.drop();
    this.#database = new pg.Pool({ connectionString: database.url, max: 2 });
    this.#env = { ...env, DATABASE_URL: database.url, LOCAL_DATA_DIR: join(folder, 'data') };
    this.#brokers = (env['KAFKA_BROKERS'] ?? '').split(',');
    this.#topic = env['KAFKA_TOPIC'] ?? '';
    this.#evidence = new Evidence(join(folder, 'evidence.db'));
    this.clients = new HttpClients({
      replicas: () => this.#apis.map((api) => api.address()),
      onAnswer: (entry) => this.#evidence.addClient(entry),
    });
  }

  /** An empty database and an empty topic. */
  static async create(brokers: readonly string[], delivery: DeliveryMode): Promise<UpgradeRig> {
    const folder = mkdtempSync(join(tmpdir(), 'genesis-upgrade-'));
    const topic = `upgrade-${randomBytes(5).toString('hex')}`;
    const admin = new Admin({ clientId: 'upgrade-rig', bootstrapBrokers: [...brokers] });
    await admin.createTopics({
      topics: [topic],
      partitions: SHARDS,
      replicas: 1,
      configs: [{ name: 'retention.ms', value: '-1' }],
    });
    await admin.close();
    return new UpgradeRig(folder, await createEmptyDatabase(), {
      KAFKA_BROKERS: brokers.join(','),
      KAFKA_TOPIC: topic,
      KAFKA_REPLICATION: '1',
      RELAY_DELIVERY: delivery,
      JWT_SECRET: SECRET,
      RATE_LIMIT_PER_USER: '0',
      POSTGRES_POOL_SIZE: '5',
      PORT: '0',
      LOG_LEVEL: 'INFO',
    });
  }

  genesis(version: Version, ...args: readonly string[]): ReturnType<typeof runToEnd> {
    return runToEnd(version, args, this.#env);
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return (await this.#database.query<Row>(text, [...values])).rows;
  }

  /** The versions that run at this moment: what is being tested. */
  mixture(): string {
    const names = (services: readonly ServiceProcess[]): string =>
      services.map(({ version }) => version.name).join('+');
    return `api ${names(this.#apis)}, relay ${names(this.#relays)}`;
  }

  async startApi(version: Version): Promise<ServiceProcess> {
    const api = await ServiceProcess.start(version, 'api', this.#env);
    this.#apis.push(api);
    return api;
  }

  async startRelay(version: Version): Promise<ServiceProcess> {
    const relay = await ServiceProcess.start(version, 'relay', this.#env);
    this.#relays.push(relay);
    await this.#untilShared();
    return relay;
  }

  /** SIGTERM, while the load balancer still sends it requests: they meet a closed door, and go elsewhere. */
  async endOldestApi(): Promise<void> {
    const [oldest] = this.#apis;
    if (oldest !== undefined) await this.#end(oldest, this.#apis);
  }

  async endOldestRelay(): Promise<void> {
    const [oldest] = this.#relays;
    if (oldest !== undefined) await this.#end(oldest, this.#relays);
    await this.#untilShared();
  }

  /** Resolves once what runs now has taken commands and published events. */
  async untilTried(): Promise<void> {
    const mixture = this.mixture();
    const accepted = this.clients.accepted + ENOUGH;
    const sent = (await this.#sent()) + ENOUGH;
    await until(`commands taken by ${mixture}`, async () => this.#or(this.clients.accepted >= accepted), PATIENT);
    await until(`events published by ${mixture}`, async () => this.#or((await this.#sent()) >= sent), PATIENT);
  }

  /** Resolves once nothing is left to be sent. */
  async untilDrained(): Promise<void> {
    await until(
      'an empty outbox',
      async () => {
        const [row] = await this.query<{ some: boolean }>(
          `SELECT EXISTS (SELECT FROM event_outbox WHERE status = 'PENDING') AS some`,
        );
        return row?.some === false;
      },
      PATIENT,
    );
  }

  /** Ends everything that runs, then compares what the clients were told, the tables and the topic. */
  async judge(): Promise<Verdict & { readonly inbox: number; readonly errors: readonly string[] }> {
    for (const relay of this.#relays.slice()) await this.#end(relay, this.#relays);
    for (const api of this.#apis.slice()) await this.#end(api, this.#apis);
    await collectTables(this.#evidence, this.#databaseUrl);
    await collectTopic(this.#evidence, { brokers: this.#brokers, topic: this.#topic });
    const verdict = judge(this.#evidence, { duplicates: 0 });
    return { ...verdict, inbox: this.#evidence.count('inbox'), errors: this.#errors };
  }

  async close(): Promise<void> {
    await this.clients.stop();
    await Promise.all([...this.#apis, ...this.#relays].map((service) => service.stop('SIGKILL')));
    this.#evidence.close();
    await this.#database.end();
    await this.#dropDatabase();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Whoever still waits though something went wrong for good would only wait. */
  #or(reached: boolean): boolean {
    const [first] = this.clients.unexpected;
    if (first !== undefined) throw new Error(first);
    return reached;
  }

  async #end(service: ServiceProcess, among: ServiceProcess[]): Promise<void> {
    const code = await service.stop();
    const at = among.indexOf(service);
    if (at >= 0) among.splice(at, 1);
    if (code !== 0) this.#errors.push(`${service.version.name} ended with ${code}`);
    this.#errors.push(...service.errors());
  }

  async #sent(): Promise<number> {
    const [row] = await this.query<{ sent: number }>(
      `SELECT count(*)::int AS sent FROM event_outbox WHERE status = 'SENT'`,
    );
    return row?.sent ?? 0;
  }

  /** Every relay that runs has a share of the shards, and no shard is without one: versions that ignored each other would not come to that. */
  async #untilShared(): Promise<void> {
    const pids = this.#relays.map(({ pid }) => String(pid)).toSorted();
    await until(
      `shards shared by ${this.mixture()}`,
      async () => {
        const rows = await this.query<{ owner: string; vacant: boolean }>(
          `SELECT m.name AS owner, s.owner IS NULL OR s.expires_at < now() AS vacant
         FROM relay_shards s LEFT JOIN relay_members m ON m.id = s.owner`,
        );
        const owners = new Set(rows.map(({ owner }) => (owner ?? '').split(/\D+/u).at(-1)));
        return rows.every(({ vacant }) => !vacant) && pids.every((pid) => owners.has(pid));
      },
      PATIENT,
    );
  }
}
