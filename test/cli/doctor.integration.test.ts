import { randomUUID } from 'node:crypto';
import { Admin, Producer, stringSerializers } from '@platformatic/kafka';
import { afterEach, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import type { KafkaConfig } from '../../src/config.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import { setTopicConfig } from '../kafka/limit-message-bytes.ts';
import { startOutboxRig, type OutboxRig } from '../postgres/outbox-admin-rig.ts';
import { createEmptyDatabase } from '../support/database.ts';

const ALL = [0, 1, 2, 3, 4, 5, 6, 7];

interface Told {
  readonly area: string;
  readonly name: string;
  readonly level: string;
  readonly detail: string;
  readonly todo: string | null;
}

interface Report {
  readonly code: typeof process.exitCode;
  readonly checks: readonly Told[];
  /** `area name` of what is so. */
  readonly failed: readonly string[];
  readonly warned: readonly string[];
  /** Everything that is said of one thing. */
  readonly of: (area: string, name: string) => string;
}

let kafka: KafkaConfig;
beforeAll(async () => {
  kafka = await topicWith(8);
});

async function topicWith(partitions: number): Promise<KafkaConfig> {
  const made = { brokers: inject('brokers'), topic: `doctor-test-${randomUUID()}` };
  await ensureTopic(made, { partitions, replicationFactor: 1, minInsyncReplicas: 1 });
  return made;
}

interface Message {
  readonly topic: string;
  readonly partition: number;
  readonly key: string;
  readonly value: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Writes a record to a topic of a test. */
async function produce(message: Message): Promise<void> {
  const producer = new Producer({
    clientId: 'test',
    bootstrapBrokers: [...kafka.brokers],
    serializers: stringSerializers,
  });
  try {
    await producer.send({ messages: [message] });
  } finally {
    await producer.close(true);
  }
}

/** Without a process of its own. */
async function doctor(env: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Report> {
  const lines: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  process.exitCode = 0;
  try {
    const program = await createProgram({ run: () => Promise.reject(new Error('nothing is to run')) }, env, '1.2.3');
    await program.parseAsync(['doctor', '--json', ...args], { from: 'user' });
    const { checks } = JSON.parse(lines.join('\n')) as { checks: readonly Told[] };
    const named = (level: string) =>
      // The servers of a test run may do without syncing.
      checks
        .filter((check) => check.level === level && check.name !== 'durability')
        .map(({ area, name }) => `${area} ${name}`);
    return {
      code: process.exitCode,
      checks,
      failed: named('fail'),
      warned: named('warn'),
      of: (area, name) =>
        checks
          .filter((check) => check.area === area && check.name === name)
          .map(({ level, detail, todo }) => `${level}: ${detail} → ${todo ?? 'nothing'}`)
          .join('\n'),
    };
  } finally {
    log.mockRestore();
    process.exitCode = 0;
  }
}

const envOf = (url: string, { brokers, topic } = kafka) => ({
  DATABASE_URL: url,
  KAFKA_BROKERS: brokers.join(','),
  KAFKA_TOPIC: topic,
  JWT_SECRET: 'a secret of a test that has more than thirty-two bytes',
});

describe('genesis doctor', { timeout: 60_000 }, () => {
  let rig: OutboxRig;
  beforeEach(async () => {
    rig = await startOutboxRig();
  });
  afterEach(() => rig.stop());

  const examine = (changes: Readonly<Record<string, string>> = {}) => doctor({ ...envOf(rig.url), ...changes });

  it('finds nothing to mend where all is well, and fails by nothing else', async () => {
    await rig.own(ALL);
    const { failed, warned, checks, of } = await examine();
    expect({ failed, warned }).toEqual({ failed: [], warned: [] });
    expect(new Set(checks.map(({ area }) => area)).size).toBe(5);
    expect(of('topic', 'partitions')).toMatch(/^ok: 8 partitions/u);
    expect(of('relays', 'owners')).toMatch(/^ok: each of 8 shards/u);
    expect(of('relays', 'topic ahead')).toMatch(/^ok: no/u);
    expect(JSON.stringify(checks)).not.toContain(new URL(rig.url).password);
  });

  it('says why the database cannot be reached, and looks at the rest', async () => {
    const wrong = new URL(rig.url);
    wrong.password = 'not-this-one';
    const refused = await doctor({ ...envOf(wrong.href) });
    expect(refused).toMatchObject({ code: 1, failed: ['database reachable'] });
    expect(refused.of('database', 'reachable')).toMatch(/refuses the password .* → set the right user and password/u);
    expect(JSON.stringify(refused.checks)).not.toContain('not-this-one');
    expect(refused.of('topic', 'partitions')).toMatch(/^skip: 8 partitions/u);
    wrong.href = rig.url;
    wrong.pathname = '/nothing_here';
    expect((await doctor(envOf(wrong.href))).of('database', 'reachable')).toContain('has no such database');
    const away = await doctor(envOf('postgres://u:p@127.0.0.1:1/x'));
    expect(away.of('database', 'reachable')).toContain('127.0.0.1:1/x cannot be reached: nobody listens there');
  });

  it('says that the broker cannot be reached', async () => {
    await rig.own(ALL);
    const { code, failed, of } = await examine({ KAFKA_BROKERS: '127.0.0.1:1' });
    expect({ code, failed }).toEqual({ code: 1, failed: ['broker reachable'] });
    expect(of('broker', 'reachable')).toContain('127.0.0.1:1 cannot be reached (');
    expect(of('relays', 'topic ahead')).toMatch(/^skip/u);
  });

  it('tells a database without tables, one that is behind, and one that is ahead of this program', async () => {
    const empty = await createEmptyDatabase();
    onTestFinished(() => empty.drop());
    const none = await doctor(envOf(empty.url));
    expect(none.of('database', 'migrations')).toBe('fail: none was ever applied → npx genesis migrate');
    expect(none.code).toBe(1);
    await rig.query(`UPDATE genesis_migrations SET checksum = 'x' WHERE name LIKE '0002%'`);
    expect((await examine()).of('database', 'migrations')).toMatch(/^fail: changed after .*: 0002_/u);
    await rig.query(`DELETE FROM genesis_migrations WHERE name LIKE '0002%'`);
    await rig.query(`INSERT INTO genesis_migrations (name, checksum) VALUES ('9999_later.sql', 'x')`);
    const applied = async () =>
      (await rig.pool.query<{ name: string }>('SELECT name FROM genesis_migrations ORDER BY name')).rows;
    const before = await applied();
    expect((await examine()).of('database', 'migrations')).toMatch(/^fail: pending: 0002_.* → npx genesis migrate$/u);
    // It only looks.
    expect(await applied()).toEqual(before);
  });

  it('only warns of a database that is newer', async () => {
    await rig.own(ALL);
    await rig.query(`INSERT INTO genesis_migrations (name, checksum) VALUES ('9999_later.sql', 'x')`);
    const { warned, failed, of } = await examine();
    expect({ warned, failed }).toEqual({ warned: ['database migrations'], failed: [] });
    expect(of('database', 'migrations')).toContain('newer than this program: 9999_later.sql');
  });

  it('names the rights that a user lacks, and needs no superuser', async () => {
    await rig.own(ALL);
    const user = `doctor_${randomUUID().slice(0, 8)}`;
    const url = new URL(rig.url);
    [url.username, url.password] = [user, 'p'];
    const all = `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${user}`;
    await rig.query(`CREATE ROLE ${user} LOGIN PASSWORD 'p'`);
    try {
      await rig.query(all);
      await rig.query(`REVOKE DELETE ON event_outbox FROM ${user}`);
      await rig.query(`REVOKE INSERT, UPDATE ON command_inbox FROM ${user}`);
      const lacking = await doctor(envOf(url.href));
      expect(lacking.failed).toEqual(['database rights']);
      expect(lacking.of('database', 'rights')).toContain(
        `${user} lacks command_inbox: INSERT, UPDATE; event_outbox: DELETE; event_outbox_id_seq: SELECT`,
      );
      await rig.query(all);
      await rig.query(`GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO ${user}`);
      const enough = await doctor(envOf(url.href));
      expect(enough.failed).toEqual([]);
      expect(enough.of('database', 'reachable')).not.toContain('superuser');
      await rig.query(`REVOKE SELECT ON genesis_migrations FROM ${user}`);
      const hidden = await doctor(envOf(url.href));
      expect(hidden.failed).toEqual(['database migrations', 'database rights']);
      expect(hidden.of('database', 'rights')).toBe(
        `fail: ${user} lacks genesis_migrations: SELECT → as the owner of the tables: GRANT SELECT ON genesis_migrations TO "${user}";`,
      );
    } finally {
      await rig.query(`DROP OWNED BY ${user}`);
      await rig.query(`DROP ROLE ${user}`);
    }
  });

  it('tells settings by which answered commands would be lost, wherever they are made', async () => {
    const { pathname } = new URL(rig.url);
    await rig.query(`ALTER DATABASE ${pathname.slice(1)} SET synchronous_commit = off`);
    const { code, of } = await examine();
    expect(code).toBe(1);
    expect(of('database', 'durability')).toMatch(/^fail: synchronous_commit=off/u);
  });

  it('tells a topic that does not fit, and what is set wrong in it', async () => {
    await rig.own(ALL);
    const three = await topicWith(3);
    await setTopicConfig(three, 'retention.ms', '86400000');
    await setTopicConfig(three, 'max.message.bytes', '20000');
    await setTopicConfig(three, 'unclean.leader.election.enable', 'true');
    const { code, failed, warned, of } = await examine({ KAFKA_TOPIC: three.topic });
    expect(code).toBe(1);
    expect(failed).toEqual(['topic partitions', 'topic kept for ever', 'topic size']);
    expect(warned).toEqual(['topic replication']);
    expect(of('topic', 'partitions')).toContain('3 partitions, but the database has 8 shards: no relay starts');
    expect(of('topic', 'kept for ever')).toMatch(/retention\.ms=86400000: .* → kafka-configs\.sh .*retention\.ms=-1/u);
    expect(of('topic', 'size')).toMatch(/ → kafka-configs\.sh .*max\.message\.bytes=1048588$/u);
  });

  it('tells a topic that is missing: a failure once events went there. It does not create it', async () => {
    await rig.own(ALL);
    const missing = { ...kafka, topic: `doctor-test-${randomUUID()}` };
    const fresh = await doctor({ ...envOf(rig.url, missing), KAFKA_REPLICATION: '1' });
    expect({ failed: fresh.failed, warned: fresh.warned }).toEqual({ failed: [], warned: ['topic exists'] });
    await rig.session(1);
    await rig.query('ALTER TABLE event_outbox DISABLE TRIGGER USER');
    await rig.query('UPDATE event_outbox SET topic = $1', [missing.topic]);
    const waiting = await doctor({ ...envOf(rig.url, missing), KAFKA_REPLICATION: '1' });
    expect({ failed: waiting.failed, warned: waiting.warned }).toEqual({ failed: [], warned: ['topic exists'] });
    await rig.query(`UPDATE event_outbox SET status = 'SENT', sent_at = now(), partition = 0, "offset" = 0`);
    const gone = await doctor({ ...envOf(rig.url, missing), KAFKA_REPLICATION: '1' });
    expect(gone).toMatchObject({ code: 1, failed: ['topic exists'] });
    expect(gone.of('topic', 'exists')).toMatch(/is missing, though events were published to it → .* a new topic \(/u);
    const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: [...kafka.brokers] });
    onTestFinished(() => admin.close());
    expect((await admin.listTopics()).filter((topic) => topic.startsWith(missing.topic))).toEqual([]);
  });

  it('tells that nobody publishes, what FAILED, what is paused, and what other relays do otherwise', async () => {
    const session = await rig.session(3);
    await rig.fail(session, 1);
    const alone = await examine();
    expect(alone.code).toBe(1);
    expect(alone.failed).toEqual(['relays alive', 'relays owners', 'relays FAILED']);
    expect(alone.of('relays', 'FAILED')).toMatch(/^fail: 1 FAILED; sessions on hold: 1 → npx genesis outbox list/u);
    await rig.own([0, 1, 2]);
    await rig.query(`UPDATE relay_shards SET paused = true WHERE shard = 2`);
    await rig.query(`UPDATE relay_shards SET state = 'unavailable', last_error = 'NO_LEADER' WHERE shard = 1`);
    const some = await examine({ RELAY_DELIVERY: 'exactly-once' });
    expect(some.failed).toEqual(['relays unavailable', 'relays FAILED']);
    expect(some.warned).toEqual(['relays delivery', 'relays topic', 'relays owners', 'relays paused']);
    expect(some.of('relays', 'owners')).toContain('no relay drains shards 3, 4, 5, 6, 7');
    expect(some.of('relays', 'delivery')).toContain('(relay-a 4711) delivers at-least-once');
    expect(some.of('relays', 'unavailable')).toContain('shard 1 cannot be written: NO_LEADER');
  });

  it('sees that the topic is ahead of the database, though no relay has run', async () => {
    const ahead = await topicWith(8);
    // Somebody else's, as relays take it: it has none of our headers.
    await produce({ topic: ahead.topic, partition: 3, key: randomUUID(), value: '{}' });
    expect((await examine({ KAFKA_TOPIC: ahead.topic })).of('relays', 'topic ahead')).toMatch(/^ok: no/u);
    const headers = { ce_id: randomUUID(), sequence: '4' };
    await produce({ topic: ahead.topic, partition: 5, key: randomUUID(), value: '{}', headers });
    const { code, of } = await examine({ KAFKA_TOPIC: ahead.topic });
    expect(code).toBe(1);
    expect(of('relays', 'topic ahead')).toMatch(/in partitions 5: .* → npx genesis recover --from-topic/u);
    await rig.query('UPDATE genesis_settings SET topic_ahead = true');
    expect((await examine()).of('relays', 'topic ahead')).toMatch(/^fail/u);
  });

  it('fails for what is only to be looked at when it is told to be strict', async () => {
    await rig.own(ALL);
    const env = { ...envOf(rig.url), RELAY_BATCH_SIZE: '3000' };
    const lenient = await doctor(env);
    expect(lenient.warned).toEqual(['configuration RELAY_BATCH_MAX']);
    expect((await doctor(env, '--strict')).code).toBe(1);
    const durable = !lenient.checks.some(({ level }) => level === 'fail');
    expect(lenient.code).toBe(durable ? 0 : 1);
  });
});
