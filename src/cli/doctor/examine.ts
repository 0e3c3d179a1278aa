import { ConfigError, loadConfig, type Config, type KafkaConfig } from '../../config.ts';
import { inspectCluster, type ClusterFacts } from '../../kafka/inspect-cluster.ts';
import { KafkaTopicReader } from '../../kafka/topic-reader.ts';
import { createOperations } from '../../outbox/operations/operations.ts';
import { wasPublishedTo } from '../../postgres/earlier-runs.ts';
import { inspectDatabase, type Content, type DatabaseFacts } from '../../postgres/inspect-database.ts';
import { createReconcileStore } from '../../postgres/operations-reconcile.ts';
import { createOperationsStore } from '../../postgres/outbox-admin.ts';
import { createRead } from '../../postgres/read.ts';
import type { SessionId } from '../../genesis/ids.ts';
import { databaseUrl, withDatabase } from '../with-database.ts';
import { kafkaConfig } from '../with-topic.ts';
import { saysOf, type Area, type Check } from './check.ts';
import { judgeCluster, judgeNoCluster } from './judge-cluster.ts';
import { judgeConfiguration } from './judge-configuration.ts';
import { judgeDatabase, judgeNoDatabase } from './judge-database.ts';
import { judgeRelays } from './judge-relays.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds that the ends of the topic may take to be read, and one statement. */
const COMPARE_LIMIT = 10_000;
const READ_LIMIT = 10_000;
/** What aggregate_version holds. */
const MOST_VERSIONS = 2 ** 31 - 1;

interface Looked<Facts> {
  readonly facts: Facts | null;
  readonly checks: readonly Check[];
}

/** Looks at everything that can be looked at, and changes nothing; what cannot be reached is a finding, not an error. */
export async function examine(env: Environment): Promise<readonly Check[]> {
  const checks = judgeConfiguration(env);
  const config = configOf(env);
  // Where a value is wrong, nobody knows what is meant; the finding says which.
  if (config === null) return checks;
  const [database, kafka] = await Promise.all([lookAtDatabase(env, config), kafkaOf(env)]);
  const content = database.facts?.content ?? null;
  const cluster = kafka.facts === null ? null : await lookAtCluster(kafka.facts, content);
  return [
    ...checks,
    ...database.checks,
    ...(cluster?.checks ?? kafka.checks),
    ...(await lookAtRelays(env, config, { content, cluster: cluster?.facts ?? null, kafka: kafka.facts })),
  ];
}

function configOf(env: Environment): Config | null {
  try {
    return loadConfig(env, 'tool');
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

async function lookAtDatabase(env: Environment, { poolSize }: Config): Promise<Looked<DatabaseFacts>> {
  let url: string;
  try {
    url = await databaseUrl(env);
  } catch (error) {
    return notNamed('database', error);
  }
  try {
    const facts = await inspectDatabase(url);
    return { facts, checks: judgeDatabase(facts, placeOf(url), poolSize) };
  } catch (error) {
    return { facts: null, checks: [judgeNoDatabase(error, placeOf(url))] };
  }
}

async function kafkaOf(env: Environment): Promise<Looked<KafkaConfig>> {
  try {
    return { facts: await kafkaConfig(env), checks: [] };
  } catch (error) {
    return notNamed('broker', error);
  }
}

function notNamed<Facts>(area: Area, error: unknown): Looked<Facts> {
  const [what = '', todo = ''] = (error instanceof Error ? error.message : String(error)).split(/: (.*)/u);
  return { facts: null, checks: [saysOf(area).fail('named', what, todo)] };
}

async function lookAtCluster(kafka: KafkaConfig, content: Content | null): Promise<Looked<ClusterFacts>> {
  try {
    const facts = await inspectCluster(kafka);
    const expected = {
      shards: content?.shards ?? null,
      used: content !== null && wasPublishedTo(kafka.topic, content),
    };
    return { facts, checks: judgeCluster(facts, kafka, expected) };
  } catch (error) {
    return { facts: null, checks: [judgeNoCluster(error, kafka)] };
  }
}

/** host:port/database, without login. */
function placeOf(url: string): string {
  const { hostname, port, pathname } = new URL(url);
  return `${hostname}:${port === '' ? '5432' : port}${pathname}`;
}

interface Found {
  readonly content: Content | null;
  readonly cluster: ClusterFacts | null;
  readonly kafka: KafkaConfig | null;
}

async function lookAtRelays(
  env: Environment,
  { relay, topic }: Config,
  { content, cluster, kafka }: Found,
): Promise<readonly Check[]> {
  if (content === null) return [saysOf('relays').skip('alive', 'the tables that tell of relays cannot be read')];
  try {
    return await withDatabase(env, 'genesis-doctor', async (pool) => {
      const read = createRead(pool, READ_LIMIT);
      const found = await createOperations(createOperationsStore(read, pool, READ_LIMIT)).backlogs();
      const comparable = kafka !== null && cluster?.topic?.partitions === content.shards;
      const ahead = comparable ? await partitionsAhead(kafka, content.shards, createReconcileStore(pool)) : null;
      return judgeRelays({ ...found, earlier: content, ahead }, { delivery: relay.delivery, topic });
    });
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    return [saysOf('relays').skip('alive', `the tables that tell of relays cannot be read (${words})`)];
  }
}

/**
 * As each relay does before it publishes: whose last record is no event of the database. One without our headers is somebody else's and
 * says nothing. Null: the topic cannot be read.
 */
async function partitionsAhead(
  kafka: KafkaConfig,
  shards: number,
  store: Pick<ReturnType<typeof createReconcileStore>, 'eventsAt'>,
): Promise<readonly number[] | null> {
  const reader = new KafkaTopicReader(kafka, { clientId: 'genesis-doctor' });
  const signal = AbortSignal.timeout(COMPARE_LIMIT);
  try {
    const ends = await Promise.all(Array.from({ length: shards }, (_, partition) => reader.last(partition, signal)));
    const ours = ends.filter((record) => record !== null).filter(({ eventId }) => eventId !== '');
    const last = ours.filter(({ key, sequence }) => sequence > 0 && sequence <= MOST_VERSIONS && isId(key));
    const places = last.map(({ key, sequence }) => ({ sessionId: key as SessionId, sequence }));
    const known = new Set((await store.eventsAt(places)).map(({ event }) => event.eventId as string));
    return ours.filter(({ eventId }) => !known.has(eventId.toLowerCase())).map(({ partition }) => partition);
  } catch {
    return null;
  } finally {
    await reader.close();
  }
}

function isId(text: string): boolean {
  return /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(text);
}
