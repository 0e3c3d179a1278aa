import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTopic } from '../relay/read-topic.ts';
import { genesis, kafkaTool, startInstance, type Instance } from './instance.ts';

interface Endpoints {
  readonly api: string;
  readonly postgres: string;
  readonly kafka: readonly string[];
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One line of the console consumer: headers, key, value. */
interface ConsumedRecord {
  readonly headers: Readonly<Record<string, string>>;
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

/** The example of the README and of the product's first description. */
const EXAMPLE = {
  command_type: 'RequestConceptGeneration',
  payload: { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏', '第一人称'] },
};

/** `npm start` as somebody sees it who has just cloned the project: own PostgreSQL, own Kafka, nothing configured. */
describe('genesis start', () => {
  let env: Readonly<Record<string, string>>;
  let instance: Instance;
  let endpoints: Endpoints;
  let token: string;

  beforeAll(async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'genesis-e2e-'));
    // One user sends all of the load.
    env = { LOCAL_DATA_DIR: dataDir, PORT: '0', AGENT_DELAY: 'off', RATE_LIMIT_PER_USER: '0' };
    await start();
    token = (await genesis(['token', '--user', 'ada'], env)).stdout.trim();
  });
  afterAll(async () => {
    await instance.stop('SIGINT');
    await rm(env['LOCAL_DATA_DIR'] ?? '', { recursive: true });
  });

  async function start(): Promise<void> {
    instance = await startInstance('start', env);
    endpoints = JSON.parse((await genesis(['endpoints', '--json'], env)).stdout) as Endpoints;
  }

  async function post(path: string, body: unknown): Promise<Answer> {
    const response = await fetch(`${endpoints.api}/api/v1/genesis${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Answer['body'] };
  }

  async function createSession(): Promise<string> {
    const { status, body } = await post('/sessions', { title: '星海' });
    expect(status).toBe(201);
    return String(body['session_id']);
  }

  async function query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
    const client = new pg.Client({ connectionString: endpoints.postgres });
    await client.connect();
    try {
      return (await client.query<Row>(text, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** The whole topic, read by Kafka's own console consumer. */
  async function consume(): Promise<readonly ConsumedRecord[]> {
    // Not as many as rows are SENT: after a crash some may be there twice.
    const there = (await readTopic(endpoints.kafka, 'domain-events')).length;
    const { stdout, stderr } = await kafkaTool(
      [
        'console-consumer',
        ...['--topic', 'domain-events', '--from-beginning', '--max-messages', String(there), '--timeout-ms', '20000'],
        ...['--formatter-property', 'print.key=true', '--formatter-property', 'print.headers=true'],
      ],
      env,
    );
    const lines = stdout.split('\n').filter((line) => line.includes('\t'));
    expect(lines, stderr).toHaveLength(there);
    return lines.map(parseLine);
  }

  function parseLine(line: string): ConsumedRecord {
    const [headers = '', key = '', value = ''] = line.split('\t');
    const pairs = headers
      .split(',')
      .map((pair) => [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)]);
    return {
      headers: Object.fromEntries(pairs) as ConsumedRecord['headers'],
      key,
      value: JSON.parse(value) as ConsumedRecord['value'],
    };
  }

  const untilDrained = () =>
    expect
      .poll(() => query(`SELECT count(*)::int AS n FROM event_outbox WHERE status <> 'SENT'`), { timeout: 30_000 })
      .toEqual([{ n: 0 }]);

  it('tells where everything is, with a command to paste', () => {
    expect(instance.output()).toContain(endpoints.api);
    expect(instance.output()).toContain(endpoints.kafka.join());
    expect(instance.output()).toMatch(/curl -i -X POST .*\/api\/v1\/genesis\/sessions/u);
  });

  it('answers the example with 202, the same again with 409 and the id of the first', async () => {
    const sessionId = await createSession();
    const first = await post(`/sessions/${sessionId}/commands`, EXAMPLE);
    expect(first).toMatchObject({
      status: 202,
      body: { status: 'PROCESSING', message: 'Command accepted for processing' },
    });
    const second = await post(`/sessions/${sessionId}/commands`, EXAMPLE);
    expect(second).toMatchObject({
      status: 409,
      body: {
        error_code: 'DUPLICATE_COMMAND',
        message: 'Command already processing',
        duplicate_command_id: first.body['command_id'],
      },
    });
    await instance.says(new RegExp(`published Genesis.Session.Requested.*${sessionId}`, 'u'));
  });

  it('gives one of fifty at once a 202 and forty-nine a 409', async () => {
    const sessionId = await createSession();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => post(`/sessions/${sessionId}/commands`, EXAMPLE)),
    );
    const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([202, ...Array.from({ length: 49 }, () => 409)]);
  });

  it('puts the event into Kafka with key, headers and envelope, as Kafka’s own consumer shows, and matching rows into the tables', async () => {
    const sessionId = await createSession();
    const { body } = await post(`/sessions/${sessionId}/commands`, EXAMPLE);
    await untilDrained();
    const records = (await consume()).filter(({ key }) => key === sessionId);
    expect(records.map(({ value }) => value['event_type'])).toEqual([
      'Genesis.Session.Created',
      'Genesis.Session.Requested',
    ]);
    const [created, requested] = records;
    const rows = await query<Record<string, unknown>>(
      `SELECT c.status AS command, e.event_id, e.payload, o.status AS outbox, o.partition, o.shard
       FROM command_inbox c JOIN domain_events e ON e.correlation_id = c.id JOIN event_outbox o USING (event_id) WHERE c.id = $1`,
      [body['command_id']],
    );
    expect(rows).toEqual([
      {
        command: 'PROCESSING',
        event_id: requested?.value['event_id'],
        payload: requested?.value['payload'],
        outbox: 'SENT',
        partition: rows[0]?.['shard'],
        shard: rows[0]?.['shard'],
      },
    ]);
    expect(requested?.value).toEqual({
      event_id: expect.any(String),
      event_type: 'Genesis.Session.Requested',
      event_version: 1,
      aggregate_type: 'GENESIS_SESSION',
      aggregate_id: sessionId,
      aggregate_version: 2,
      correlation_id: body['command_id'],
      causation_id: body['command_id'],
      occurred_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u),
      payload: { request_id: body['command_id'], stage: 'CONCEPT_SELECTION', ...EXAMPLE.payload },
      metadata: { user_id: 'ada', source_service: 'genesis-api' },
    });
    expect(requested?.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: requested?.value['event_id'],
      ce_source: '/genesis/sessions',
      ce_type: 'Genesis.Session.Requested',
      ce_time: requested?.value['occurred_at'],
      ce_subject: sessionId,
      'content-type': 'application/json',
      sequence: '2',
      previous: created?.value['event_id'],
    });
  });

  it('loses and reorders nothing that was accepted when it is killed under load and started again', async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, createSession));
    const accepted: { sessionId: string; version: number }[] = [];
    let running = true;
    const load = sessions.map(async (sessionId) => {
      for (let version = 2; running; version += 1) {
        const feedback = { command_type: 'SubmitFeedback', payload: { feedback: `${version}` } };
        const answer = await post(`/sessions/${sessionId}/commands`, feedback).catch(() => null);
        if (answer?.status === 200) accepted.push({ sessionId, version });
      }
    });
    await expect.poll(() => accepted.length, { timeout: 30_000 }).toBeGreaterThan(200);
    expect(await instance.stop('SIGKILL')).toBeNull();
    running = false;
    await Promise.all(load);
    await start();
    await untilDrained();
    const records = await consume();
    for (const sessionId of sessions) {
      const versions = records
        .filter(({ key }) => key === sessionId)
        .map(({ value }) => Number(value['aggregate_version']));
      const firstOccurrences = [...new Set(versions)];
      expect(firstOccurrences).toEqual(firstOccurrences.map((_, index) => index + 1));
      const last = Math.max(...accepted.filter((one) => one.sessionId === sessionId).map((one) => one.version));
      expect(firstOccurrences.length).toBeGreaterThanOrEqual(last);
    }
  }, 120_000);

  it('lets a second relay stand by and a second start say that one runs already', async () => {
    const second = await genesis(['start'], env);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/already running/iu);
    const standby = await startInstance('relay', env);
    expect(await standby.stop('SIGTERM')).toBe(0);
  });

  it('stops within ten seconds at Ctrl-C and leaves nothing running', async () => {
    const began = performance.now();
    expect(await instance.stop('SIGINT')).toBe(0);
    expect(performance.now() - began).toBeLessThan(10_000);
    expect((await genesis(['endpoints'], env)).stderr).toMatch(/no instance runs/u);
    await start();
  }, 60_000);
});
