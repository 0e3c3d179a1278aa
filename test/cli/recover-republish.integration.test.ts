import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startTopicRig, type TopicRig } from '../operations/topic-rig.ts';
import { readTopic } from '../relay/read-topic.ts';
import { genesis } from './genesis.ts';

// Each of these starts programs: a matter of seconds on a busy machine.
describe('genesis recover', { timeout: 180_000 }, () => {
  let rig: TopicRig;
  let id: SessionId;
  beforeAll(async () => {
    rig = await startTopicRig(inject('brokers'));
    id = await rig.session();
    await rig.publish();
    await rig.backup();
    await rig.session(updateSession(), submitFeedback());
    await rig.publish();
    await rig.restore();
  });
  afterAll(() => rig.stop());

  const recover = (...args: readonly string[]) => {
    const env = { DATABASE_URL: rig.url, KAFKA_BROKERS: inject('brokers').join(','), KAFKA_TOPIC: rig.kafka.topic };
    return genesis(env, 'recover', ...args);
  };

  it('says what is missing, brings it back, and has nothing more to do', async () => {
    const preview = await recover('--from-topic');
    expect(preview).toMatchObject({ code: 0, err: '' });
    expect(preview.out.split('\n')).toEqual([
      'no relay has found the topic to be ahead of the database',
      '4 records read; 3 events missing in the database would be imported',
      'nothing was written; with --yes it is done',
      '',
    ]);
    const facts = {
      ahead: false,
      records: 4,
      imported: 3,
      problems: 0,
      strangers: 0,
      dry_run: true,
      taken_again: false,
    };
    expect(JSON.parse((await recover('--from-topic', '--json')).out)).toMatchObject(facts);
    await rig.pool.query('UPDATE genesis_settings SET topic_ahead = true');
    const { code, out } = await recover('--from-topic', '--yes');
    expect(code).toBe(0);
    expect(out.split('\n')).toEqual([
      'the topic is ahead of the database: commands are refused',
      '4 records read; 3 events and 3 commands imported',
      'rebuilt 1 session',
      expect.stringMatching(/^commands are taken again/u),
      '',
    ]);
    expect(await rig.findings()).toEqual([]);
    expect((await recover('--from-topic', '--yes')).out).toContain('0 events and 0 commands imported');
    await rig.session();
    await rig.publish();
  });

  it('tells what cannot be brought back, and takes commands again only if it is told to', async () => {
    await rig.send(id, updateSession());
    const [row] = await rig.unsent();
    if (row === undefined) throw new Error('a row is wanted');
    await rig.tamper('DELETE FROM domain_events WHERE event_id = $1', [row.eventId]);
    await rig.tamper('DELETE FROM event_outbox WHERE event_id = $1', [row.eventId]);
    await rig.write([{ ...row, value: null, headers: { ...row.headers, discarded: 'true' } }]);
    await rig.pool.query('UPDATE genesis_settings SET topic_ahead = true');
    const { code, out } = await recover('--from-topic', '--yes');
    expect(code).toBe(1);
    expect(out).toContain(
      `MARKER  session ${id} from version 2 on (event ${row.eventId}, partition ${row.partition} offset`,
    );
    expect(out).toMatch(/\ncommands stay refused, because something could not be brought back/u);
    await expect(rig.session()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const lines = (await recover('--from-topic', '--yes', '--json')).out.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { code: 'MARKER', session_id: id, from_version: 2, event_id: row.eventId, partition: row.partition },
      { ahead: true, problems: 1, dry_run: false, taken_again: false },
    ]);
    await rig.pool.query(
      `INSERT INTO relay_members (name, delivery, expires_at) VALUES ('host:17', 'at-least-once', now() + interval '1 hour')`,
    );
    const beside = await recover('--from-topic', '--yes', '--accept-loss');
    expect(beside).toMatchObject({ code: 1, out: '' });
    expect(beside.err).toContain('no relay is alive, but host:17 is: end all relays, run this again, then start them');
    await expect(rig.session()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await rig.pool.query('DELETE FROM relay_members');
    const accepted = await recover('--from-topic', '--yes', '--accept-loss');
    expect(accepted.code).toBe(1);
    expect(accepted.out).toMatch(/\ncommands are taken again/u);
    await rig.session();
  });
});

describe('genesis republish', { timeout: 180_000 }, () => {
  let rig: TopicRig;
  let id: SessionId;
  beforeAll(async () => {
    rig = await startTopicRig(inject('brokers'));
    id = await rig.session(updateSession());
    await rig.session();
    await rig.publish();
  });
  afterAll(() => rig.stop());

  const republish = (...args: readonly string[]) => {
    const env = {
      DATABASE_URL: rig.url,
      KAFKA_BROKERS: inject('brokers').join(','),
      KAFKA_TOPIC: rig.kafka.topic,
      KAFKA_REPLICATION: '1',
    };
    return genesis(env, 'republish', ...args);
  };

  it('says what it would do, does it to a new topic, and goes on or writes behind only when told to', async () => {
    const topic = `side-${randomUUID()}`;
    const to = ['--to-topic', topic, '--all', '--partitions', '2'];
    expect(await republish(...to)).toEqual({
      code: 0,
      out: `3 events to topic ${topic} (2 partitions, to be created)\nnothing was sent; with --yes it is done\n`,
      err: '',
    });
    const done = await republish(...to, '--yes');
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toMatch(/\n3 events sent in [\d.]+ s\n$/u);
    expect(await readTopic(inject('brokers'), topic)).toHaveLength(3);
    const again = await republish(...to, '--yes');
    expect(again.code).toBe(1);
    expect(again.err).toContain(`topic ${topic} is not empty`);
    expect((await republish(...to, '--yes', '--resume')).out).toMatch(
      /\n0 events sent in .*; 3 were there already\n$/u,
    );
    const counts = { topic, partitions: 2, events: 3 };
    const shown = await republish(...to, '--resume', '--json');
    expect(JSON.parse(shown.out)).toEqual({ ...counts, sent: null, there_before: null });
    const resumed = await republish(...to, '--resume', '--yes', '--json');
    expect(JSON.parse(resumed.out)).toEqual({ ...counts, sent: 0, there_before: 3 });
    const one = await republish('--to-topic', topic, '--session', id, '--append', '--yes');
    expect(one.out).toMatch(/^2 events to topic \S+ \(2 partitions\)\n2 events sent in [\d.]+ s\n$/u);
    expect(await readTopic(inject('brokers'), topic)).toHaveLength(5);
    const other = await republish('--to-topic', topic, '--all', '--partitions', '3');
    expect(other).toMatchObject({ code: 1, err: `genesis: topic ${topic} has 2 partitions already, not 3\n` });
  });

  it('fails for a session that does not exist, and writes nothing', async () => {
    const [topic, nobody] = [`side-${randomUUID()}`, '01900000-0000-7000-8000-0000000000aa'];
    const { code, out, err } = await republish('--to-topic', topic, '--session', nobody, '--yes');
    expect({ code, out, err }).toEqual({ code: 1, out: '', err: `genesis: there is no such session: ${nobody}\n` });
    const empty = await republish('--to-topic', topic, '--session', id, '--until', '2020-01-01');
    expect(empty).toMatchObject({ code: 0, out: expect.stringMatching(/^0 events to topic/u) as unknown });
  });

  it.each([['the configured'], ['one that rows of the outbox name']])(
    'never writes to the live topic: %s',
    async (what) => {
      const topic = what === 'the configured' ? rig.kafka.topic : 'of-old';
      await rig.tamper(`UPDATE event_outbox SET topic = 'of-old' WHERE key = $1`, [id]);
      const { code, err } = await republish('--to-topic', topic, '--all', '--yes');
      expect({ code, err }).toEqual({
        code: 1,
        err: `genesis: ${topic} is the live topic: its order would be broken for good. Name another one\n`,
      });
    },
  );
});
