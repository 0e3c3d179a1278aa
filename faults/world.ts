import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import pg from 'pg';
import type { KafkaConfig } from '../src/config.ts';
import { CommittedRecords } from '../src/kafka/committed-records.ts';
import { migrate } from '../src/postgres/migrate.ts';
import type { DeliveryMode } from '../src/relay/ports.ts';
import type { Infrastructure } from './infrastructure.ts';
import { Evidence } from './judge/evidence.ts';
import type { Expectations } from './judge/judge.ts';
import { LatencyProbe } from './latency.ts';
import { seededRandom, type Random } from './random.ts';
import { RelayFleet } from './relay-fleet.ts';
import { TopicTail } from './topic-tail.ts';
import { until } from './until.ts';
import { Workload } from './workload.ts';

export interface WorldOptions {
  readonly infrastructure: Infrastructure;
  /** Of the program whose relays and migrations are run. */
  readonly code: string;
  readonly folder: string;
  readonly seed: number;
  readonly delivery: DeliveryMode;
  /** Multiplies how many faults a scenario has. */
  readonly scale: number;
  /** More than what happens is said to. */
  readonly tell: (line: string) => void;
}

const PARTITIONS = 8;

/** Rows that are neither settled nor waiting behind a FAILED one. */
const UNSETTLED = `
  FROM event_outbox o
  WHERE (status = 'PENDING' OR (status = 'DISCARDED' AND sent_at IS NULL))
    AND NOT EXISTS (SELECT FROM event_outbox f WHERE f.key = o.key AND f.status = 'FAILED' AND f.sequence < o.sequence)`;

/** All that one run has to do with: a database and a topic of its own, clients, relays, and who watches. */
export class World {
  readonly random: Random;
  readonly delivery: DeliveryMode;
  readonly databaseUrl: string;
  readonly kafka: KafkaConfig;
  readonly infrastructure: Infrastructure;
  readonly folder: string;
  readonly code: string;
  readonly evidence: Evidence;
  readonly relays: RelayFleet;
  readonly workload: Workload;
  readonly latency = new LatencyProbe();
  readonly tell: (line: string) => void;
  readonly #scale: number;
  readonly #database: pg.Pool;
  readonly #tail: TopicTail;
  readonly #offsets: CommittedRecords;
  #faults = 0;
  #healedAt: number | null = null;
  #memory = 0;
  readonly #watch: NodeJS.Timeout;

  private constructor(options: WorldOptions, databaseUrl: string, kafka: KafkaConfig) {
    const { infrastructure, folder, code, delivery, seed } = options;
    this.random = seededRandom(seed);
    this.infrastructure = infrastructure;
    this.delivery = delivery;
    this.databaseUrl = databaseUrl;
    this.kafka = kafka;
    this.folder = folder;
    this.code = code;
    this.tell = options.tell;
    this.#scale = options.scale;
    this.evidence = new Evidence(join(folder, 'evidence.db'));
    this.#database = new pg.Pool({ connectionString: databaseUrl, max: 3 });
    // Idle connections end when a run ends its server.
    this.#database.on('error', () => {});
    this.#tail = new TopicTail(kafka, ({ key, headers }) => {
      this.latency.arrived(key ?? '', Number(headers.get('sequence') ?? 0));
    });
    this.#offsets = new CommittedRecords(kafka, { clientId: 'faults-offsets', patience: 60_000 });
    this.relays = new RelayFleet({ code, folder, env: this.relayEnvironment() });
    this.workload = new Workload({
      databaseUrl,
      topic: kafka.topic,
      shards: PARTITIONS,
      random: this.random.fork('workload'),
      onAnswer: (entry) => {
        this.evidence.addClient(entry);
        if (entry.version !== null) this.latency.committed(entry.sessionId, entry.version);
      },
    });
    this.#watch = setInterval(() => {
      this.#memory = Math.max(this.#memory, ...this.relays.all().map((relay) => relay.memory()));
    }, 1_000);
  }

  static async create(options: WorldOptions): Promise<World> {
    const { infrastructure, folder, code } = options;
    mkdirSync(folder, { recursive: true });
    const name = `run_${randomBytes(5).toString('hex')}`;
    const databaseUrl = await infrastructure.postgres.createDatabase(name);
    await migrate(databaseUrl, { folder: pathToFileURL(`${code}/migrations/`) });
    const { cluster } = infrastructure;
    await cluster.admin.createTopic(name, { partitions: PARTITIONS, ...cluster.replication });
    const world = new World(options, databaseUrl, { brokers: cluster.brokers, topic: name });
    await world.#tail.start();
    return world;
  }

  /** What a relay is started with; scenarios change some of it for some relays. */
  relayEnvironment(): Record<string, string> {
    const guarded = this.infrastructure.cluster.guarded;
    const { brokers, sasl } = guarded ?? { brokers: this.kafka.brokers };
    return {
      DATABASE_URL: this.databaseUrl,
      KAFKA_BROKERS: brokers.join(','),
      KAFKA_TOPIC: this.kafka.topic,
      RELAY_DELIVERY: this.delivery,
      LOCAL_DATA_DIR: join(this.folder, 'data'),
      LOG_LEVEL: 'INFO',
      ...(sasl === undefined
        ? {}
        : {
            KAFKA_SASL_MECHANISM: sasl.mechanism,
            KAFKA_SASL_USERNAME: sasl.username,
            KAFKA_SASL_PASSWORD: sasl.password,
          }),
    };
  }

  async query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const { rows } = await this.#database.query<Row>(text, [...values]);
    return rows;
  }

  /** How many of something that is so many times at scale 1; at least one. */
  times(count: number): number {
    return Math.max(1, Math.round(count * this.#scale));
  }

  /** So many copies are allowed at least once; exactly once, none. */
  duplicatesAtMost(count: number): Expectations {
    return { duplicates: this.delivery === 'exactly-once' ? 0 : count };
  }

  /** Counts a fault. */
  fault(what: string): void {
    this.#faults += 1;
    this.tell(what);
  }

  /** The last fault is over: from here on the time to recover is counted. */
  healed(): void {
    this.#healedAt = performance.now();
  }

  faults(): number {
    return this.#faults;
  }

  /** Most memory of any relay, in MiB. */
  memory(): number {
    return this.#memory;
  }

  /** Sum of where the partitions end: grows while relays publish. */
  async published(): Promise<number> {
    const ranges = await this.#offsets.ranges();
    return ranges.reduce((sum, { end }) => sum + Number(end), 0);
  }

  /** Resolves once so many relays hold shards, and all shards are held. */
  async untilShared(relays: number): Promise<void> {
    await until(
      `${relays} relays that share the shards`,
      async () => {
        const [row] = await this.query<{ owners: number; vacant: number }>(
          `SELECT count(DISTINCT owner)::int AS owners, (count(*) FILTER (WHERE owner IS NULL OR expires_at < now()))::int AS vacant
           FROM relay_shards`,
        );
        return row?.owners === relays && row.vacant === 0;
      },
      { within: 120_000 },
    );
  }

  /** Resolves once more has been published than when it was called. */
  async untilPublishing(within = 60_000): Promise<void> {
    const before = await this.published();
    await until('a relay that publishes', async () => (await this.published()) > before, { every: 20, within });
  }

  /**
   * Resolves with the milliseconds from healing until nothing is left that should have been sent more than a second ago, though
   * the load goes on.
   */
  async untilRecovered(): Promise<number> {
    const since = this.#healedAt ?? performance.now();
    await this.#whilePublishing('a backlog of less than a second', 120_000, () =>
      this.#none(`${UNSETTLED} AND created_at < now() - interval '1 s'`),
    );
    return performance.now() - since;
  }

  /** Resolves once nothing is left to be sent. @param within Milliseconds without a further record after which it is an error. */
  async untilDrained(within = 120_000): Promise<void> {
    await this.#whilePublishing('an empty backlog', within, () => this.#none(UNSETTLED));
  }

  /** How long a large backlog takes is the machine's affair; that nothing comes out any more is not. */
  async #whilePublishing(what: string, within: number, look: () => Promise<boolean>): Promise<void> {
    for (let before = await this.published(); ;) {
      try {
        await until(what, look, { every: 200, within });
        return;
      } catch (error) {
        const now = await this.published();
        if (now === before) throw error;
        this.tell(`still waiting for ${what}: ${now - before} records came meanwhile`);
        before = now;
      }
    }
  }

  async #none(from: string): Promise<boolean> {
    const [row] = await this.query<{ some: boolean }>(`SELECT EXISTS (SELECT 1 ${from}) AS some`);
    return row?.some === false;
  }

  /** Ends everything of this run but the servers. */
  async close(): Promise<void> {
    clearInterval(this.#watch);
    await this.relays.stopAll();
    await this.workload.close();
    await this.#tail.stop();
    await this.#offsets.close();
    await this.#database.end();
    this.evidence.close();
  }
}
