import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { saysOf } from '../../src/cli/doctor/check.ts';
import { doctorText } from '../../src/cli/doctor/doctor-text.ts';
import { judgeCluster } from '../../src/cli/doctor/judge-cluster.ts';
import { judgeConfiguration } from '../../src/cli/doctor/judge-configuration.ts';
import { judgeDatabase, judgeNoDatabase } from '../../src/cli/doctor/judge-database.ts';
import type { ClusterFacts, TopicFacts } from '../../src/kafka/inspect-cluster.ts';
import type { DatabaseFacts } from '../../src/postgres/inspect-database.ts';
import { sql } from '../../src/postgres/sql.ts';

const DATABASE: DatabaseFacts = {
  version: 180_004,
  versionText: '18.4',
  user: 'genesis',
  superuser: false,
  encoding: 'UTF8',
  standby: false,
  pooled: false,
  synchronousCommit: 'on',
  fsync: true,
  fullPageWrites: true,
  autovacuum: true,
  synchronousStandbys: '',
  standbys: 0,
  mostConnections: 97,
  usedConnections: 10,
  userLimit: -1,
  usedByUser: 8,
  databaseLimit: -1,
  usedInDatabase: 9,
  clockAhead: 3,
  clockError: 2,
  migrations: { applied: 5, pending: [], unknown: [], changed: [] },
  missingRights: [],
  content: { shards: 8, newestTopic: null, publishedTopic: null, published: false, exactlyOnce: false },
};

/** What is not well, as `level name`. */
const database = (changes: Partial<DatabaseFacts>) =>
  judgeDatabase({ ...DATABASE, ...changes }, 'db:5432/x', 10)
    .filter(({ level }) => level !== 'ok')
    .map(({ level, name }) => `${level} ${name}`);

describe('the database', () => {
  it('is well when it is', () => {
    expect(database({})).toEqual([]);
  });

  it.each<[string, Partial<DatabaseFacts>, string]>([
    ['a pooler between', { pooled: true }, 'fail direct'],
    ['fsync off', { fsync: false }, 'fail durability'],
    ['torn pages', { fullPageWrites: false }, 'fail durability'],
    ['no autovacuum', { autovacuum: false }, 'warn autovacuum'],
    ['a version that nobody has tried', { version: 140_020 }, 'fail version'],
    ['a version that was tried once', { version: 150_018 }, 'warn version'],
    ['another encoding', { encoding: 'SQL_ASCII' }, 'fail encoding'],
    ['a standby', { standby: true }, 'fail standby'],
    ['standbys that no commit waits for', { standbys: 2 }, 'warn standbys'],
    ['a clock far ahead', { clockAhead: 1_100 }, 'warn clocks'],
    ['a clock far behind', { clockAhead: -90_000 }, 'warn clocks'],
    ['too few connections', { usedConnections: 77 }, 'warn connections'],
    ['too few connections of the user', { userLimit: 28 }, 'warn connections'],
    ['migrations that this user may not see', { migrations: 'hidden' }, 'fail migrations'],
  ])('tells %s', (_what, changes, told) => {
    expect(database(changes)).toEqual([told]);
  });

  it.each([
    ['lacks a migration', { pending: ['0006_more.sql', '0007_contract_less.sql'] }, ['fail migrations']],
    ['may lack one that takes something away', { pending: ['0007_contract_less.sql'] }, ['warn migrations']],
    ['has more', { unknown: ['0006_more.sql'] }, ['warn migrations']],
    ['has less', { unknown: ['0006_more.sql', '0007_contract_less.sql'] }, ['fail migrations']],
    ['was changed', { changed: ['0001_a.sql'] }, ['fail migrations']],
  ])('tells how its schema stands to this program: it %s', (_what, changes, told) => {
    const migrations = { applied: 5, pending: [], unknown: [], changed: [], ...changes };
    expect(database({ migrations })).toEqual(told);
  });

  it('does not blame a clock for what the network takes', () => {
    expect(database({ clockAhead: 1_500, clockError: 600 })).toEqual([]);
    expect(database({ usedConnections: 76, userLimit: 29, databaseLimit: 30 })).toEqual([]);
    expect(database({ standbys: 2, synchronousStandbys: 'ANY 1 (a, b)' })).toEqual([]);
  });

  it('says how to grant each right that is missing', () => {
    const missingRights = [
      { relation: 'genesis_migrations', sequence: false, rights: ['SELECT'] },
      { relation: 'event_outbox_id_seq', sequence: true, rights: ['SELECT'] },
      { relation: 'command_inbox', sequence: false, rights: ['INSERT', 'UPDATE'] },
    ];
    const checks = judgeDatabase({ ...DATABASE, user: 'a-user', missingRights }, 'db:5432/x', 10);
    expect(checks.filter(({ level }) => level !== 'ok')).toEqual([
      {
        area: 'database',
        name: 'rights',
        level: 'fail',
        detail: 'a-user lacks genesis_migrations: SELECT; event_outbox_id_seq: SELECT; command_inbox: INSERT, UPDATE',
        todo:
          'as the owner of the tables: GRANT SELECT ON genesis_migrations TO "a-user"; ' +
          'GRANT SELECT ON SEQUENCE event_outbox_id_seq TO "a-user"; GRANT INSERT, UPDATE ON command_inbox TO "a-user";',
      },
    ]);
  });

  it('asks for the rights that docs/operations/upgrade.md grants', () => {
    const page = readFileSync(new URL('../../docs/operations/upgrade.md', import.meta.url), 'utf8');
    const granted = [...page.matchAll(/^GRANT (.+) ON (?:SEQUENCE )?(.+) TO genesis;$/gmu)].flatMap(
      ([, rights = '', relations = '']) => relations.split(', ').map((relation) => `${relation}: ${rights}`),
    );
    const wanted = [...sql('doctor/missing-rights').matchAll(/\('(\w+)', ARRAY\[(.+)\]\)/gu)].map(
      ([, relation = '', rights = '']) => `${relation}: ${rights.replaceAll("'", '')}`,
    );
    expect(wanted.length).toBeGreaterThan(10);
    expect(granted.toSorted()).toEqual(wanted.toSorted());
  });

  it('reckons with what one more API and one more relay take at the most', () => {
    const connections = judgeDatabase(DATABASE, 'db:5432/x', 10).find(({ name }) => name === 'connections');
    const page = readFileSync(new URL('../../docs/operations/capacity.md', import.meta.url), 'utf8');
    expect(page).toContain('max_connections ≥ (APIs + 1) × (POSTGRES_POOL_SIZE + 3) + (relays + 1) × 8 + 10');
    expect(connections?.detail).toMatch(/one more API takes up to 13, one more relay up to 8$/u);
  });

  it('takes a server that refuses start parameters for a pooler', () => {
    const error = Object.assign(new Error('unsupported startup parameter: options'), { code: '08P01' });
    const { level, detail, todo } = judgeNoDatabase(error, 'db:6432/x');
    expect({ level, detail }).toEqual({
      level: 'fail',
      detail: 'db:6432/x does not take our start parameters (unsupported startup parameter: options)',
    });
    expect(todo).toContain('PgBouncer');
  });
});

const TOPIC: TopicFacts = {
  partitions: 8,
  replicas: 3,
  leaderless: [],
  behind: [],
  configs: new Map([
    ['cleanup.policy', 'delete'],
    ['retention.ms', '-1'],
    ['retention.bytes', '-1'],
    ['min.insync.replicas', '2'],
    ['unclean.leader.election.enable', 'false'],
    ['max.message.bytes', '1048588'],
  ]),
  missingRights: [],
};
const CLUSTER: ClusterFacts = { brokers: 3, produceVersion: 13, topic: TOPIC, hidden: false, autoCreate: false };
const KAFKA = { brokers: ['k:9092'], topic: 'events' };

const cluster = (changes: Partial<ClusterFacts>, used = true) =>
  judgeCluster({ ...CLUSTER, ...changes }, KAFKA, { shards: 8, used })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, area, name }) => `${level} ${area} ${name}`);
const topic = (changes: Partial<TopicFacts>) => cluster({ topic: { ...TOPIC, ...changes } });
const configs = (name: string, value: string) => topic({ configs: new Map([...(TOPIC.configs ?? []), [name, value]]) });

describe('the cluster and its topic', () => {
  it('are well when they are', () => {
    expect(cluster({})).toEqual([]);
  });

  it('tell what is not', () => {
    expect(cluster({ produceVersion: 9 })).toEqual(['warn broker version']);
    expect(cluster({ autoCreate: true })).toEqual(['warn broker auto.create.topics.enable']);
    expect(cluster({ autoCreate: null })).toEqual(['skip broker auto.create.topics.enable']);
    expect(cluster({ hidden: true, topic: null })).toEqual(['fail topic exists']);
    expect(cluster({ topic: null })).toEqual(['fail topic exists']);
    expect(cluster({ topic: null }, false)).toEqual(['warn topic exists']);
    expect(cluster({ topic: null, brokers: 2 }, false)).toEqual(['warn topic exists', 'fail topic replication']);
    expect(topic({ leaderless: [3] })).toEqual(['fail topic leaders']);
    expect(topic({ behind: [3] })).toEqual(['warn topic leaders']);
    expect(topic({ missingRights: ['Write'] })).toEqual(['fail topic rights']);
    expect(topic({ missingRights: null })).toEqual(['skip topic rights']);
    expect(topic({ configs: null })).toEqual(['skip topic settings']);
    expect(topic({ replicas: 1 })).toEqual(['warn topic replication']);
    expect(configs('cleanup.policy', 'compact')).toEqual(['fail topic kept for ever']);
    expect(configs('max.message.bytes', '600000')).toEqual(['warn topic size']);
    expect(configs('max.message.bytes', '100000')).toEqual(['fail topic size']);
  });
});

describe('the configuration', () => {
  const told = (env: Readonly<Record<string, string>>) =>
    judgeConfiguration(env)
      .filter(({ level }) => level !== 'ok')
      .map(({ level, name, detail }) => `${level} ${name}: ${detail}`);

  it('is told problem by problem, and never with a secret', () => {
    expect(
      told({ KAFKA_HOST: 'a', KAFKA_BROKERS: 'b:1', RELAY_BATCH_SIZE: 'x', DATABASE_URL: 'postgres://u@h/d' }),
    ).toEqual([
      'fail values: KAFKA_BROKERS and KAFKA_HOST exclude each other: set one of them',
      "fail values: RELAY_BATCH_SIZE must be a whole number from 1 to 10000, not 'x'",
    ]);
    const env = { DATABASE_URL: 'postgres://u:hidden@h/d', KAFKA_BROKERS: 'k:1', JWT_SECRET: 'hidden'.repeat(9) };
    expect(JSON.stringify(judgeConfiguration(env))).not.toContain('hidden');
    expect(told(env)).toEqual([]);
  });

  it('guesses what a misspelt name means, and leaves other names alone', () => {
    expect(told({ RELAY_DELIVERYS: 'exactly-once', KAFKA_TOPIK: 'x', PGPORT: '5', POST: '1', HOME: '/' })).toEqual([
      'warn names: RELAY_DELIVERYS is set, but no variable of this program',
      'warn names: KAFKA_TOPIK is set, but no variable of this program',
    ]);
  });

  it('tells a password that goes over the network as it is', () => {
    const sasl = { KAFKA_SASL_MECHANISM: 'PLAIN', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' };
    const env = { DATABASE_URL: 'postgres://u@h/d', KAFKA_BROKERS: 'k:1', JWT_SECRET: 'x'.repeat(40), ...sasl };
    expect(told(env)).toEqual(['warn KAFKA_TLS: KAFKA_SASL_PASSWORD goes over the network as it is']);
    expect(told({ ...env, KAFKA_TLS: 'true' })).toEqual([]);
  });
});

describe('the report', () => {
  const says = saysOf('topic');
  const checks = [
    says.ok('exists', 'events'),
    says.fail('kept for ever', `many ${'words '.repeat(30)}`, `do ${'this and '.repeat(20)}that`),
    says.skip('rights', 'a line\nbreak'),
  ];

  it('fits a terminal of 80 columns, and cuts nothing', () => {
    const text = doctorText(checks, { width: 80, colour: false });
    for (const line of text.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(text.match(/words/g)).toHaveLength(30);
    expect(text).toContain('  · rights         a line break\n');
    expect(text).toMatch(/\n1 thing to mend, 1 thing not looked at, 1 well$/u);
  });

  it('has colours on a terminal only, and one line for each thing elsewhere', () => {
    expect(doctorText(checks, { width: Infinity, colour: false })).not.toContain('\u001B');
    expect(doctorText(checks, { width: Infinity, colour: true })).toContain('\u001B[31m✗\u001B[0m kept for ever');
    expect(doctorText(checks, { width: Infinity, colour: false }).split('\n')).toHaveLength(7);
    expect(doctorText(checks.slice(0, 1), { width: 80, colour: false })).toMatch(/\nall 1 well$/u);
  });
});
