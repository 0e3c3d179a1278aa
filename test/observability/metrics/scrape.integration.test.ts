import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { promtool } from '../../../checks/promtool.ts';
import { choosePort } from '../../../local/ports.ts';
import { createDevelopmentToken } from '../../../src/http/development-token.ts';
import { launch, type Instance } from '../../e2e/instance.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startPostgresProxy, type PostgresProxy } from '../../support/postgres-proxy.ts';
import { scrape, total } from './series.ts';

const SECRET = 'only for tests: thirty-two bytes and more';
const SESSIONS = '/api/v1/genesis/sessions';
/** Figures of the database are kept for five seconds. */
const SOON = { timeout: 60_000, interval: 200 };

// An API and a relay, each a process of its own, as in production.
describe('metrics of a running system', { timeout: 180_000 }, () => {
  let database: TestDatabase;
  let proxy: PostgresProxy;
  let client: pg.Client;
  let env: Readonly<Record<string, string>>;
  let api: Instance;
  let relay: Instance;
  let apiAddress: string;
  let relayAddress: string;
  let token: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startPostgresProxy(database.url);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const port = await choosePort({ variable: 'HEALTH_PORT', use: 'a test', taken: new Set() });
    relayAddress = `http://127.0.0.1:${port}`;
    env = {
      KAFKA_BROKERS: inject('brokers').join(','),
      KAFKA_TOPIC: `metrics-${randomUUID()}`,
      KAFKA_REPLICATION: '1',
      JWT_SECRET: SECRET,
      PORT: '0',
      HEALTH_PORT: String(port),
    };
    token = await createDevelopmentToken({ secret: SECRET, user: 'ada', roles: [], expiresIn: 3_600 });
    relay = launch('relay', { ...env, DATABASE_URL: database.url });
    api = launch('api', { ...env, DATABASE_URL: proxy.url });
    await Promise.all([relay.says(/"msg":"ready"/u), api.says(/"msg":"ready"/u)]);
    apiAddress = /"api":"(http:[^"]+)"/u.exec(api.output())?.[1] ?? '';
  });
  afterAll(async () => {
    await Promise.all([api.stop('SIGTERM'), relay.stop('SIGTERM')]);
    await client.end();
    await proxy.stop();
    await database.drop();
  });

  async function post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`${apiAddress}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
  }

  async function createSession(): Promise<string> {
    const { session_id: id } = (await (await post(SESSIONS, { title: 'x' })).json()) as { session_id: string };
    return `${SESSIONS}/${id}/commands`;
  }

  const feedback = { command_type: 'SubmitFeedback', payload: { feedback: 'darker' } };
  const ofApi = async () => (await scrape(apiAddress)).series;
  const ofRelay = async () => (await scrape(relayAddress)).series;

  it('count commands by what they came to, and their transactions', async () => {
    const commands = await createSession();
    const key = { 'idempotency-key': randomUUID() };
    expect((await post(commands, feedback, key)).status).toBe(200);
    expect((await post(commands, feedback, key)).status).toBe(200);
    expect((await post(commands, { command_type: 'SubmitFeedback', payload: {} })).status).toBe(422);
    expect((await post(commands, feedback, { 'if-match': '"9"' })).status).toBe(412);
    expect((await post(commands, feedback, { authorization: 'Bearer x' })).status).toBe(401);
    const series = await ofApi();
    expect(total(series, 'genesis_commands_accepted_total', 'command_type="CreateSession"')).toBe(1);
    expect(total(series, 'genesis_commands_accepted_total', 'command_type="SubmitFeedback"')).toBe(1);
    expect(total(series, 'genesis_commands_replayed_total', 'command_type="SubmitFeedback"')).toBe(1);
    for (const [type, code] of [
      ['SubmitFeedback', 'INVALID_PAYLOAD'],
      ['SubmitFeedback', 'VERSION_MISMATCH'],
      ['unknown', 'UNAUTHENTICATED'],
    ]) {
      const labels = [`command_type="${type}"`, `error_code="${code}"`];
      expect(total(series, 'genesis_commands_refused_total', ...labels)).toBe(1);
    }
    expect(total(series, 'genesis_commands_failed_total')).toBe(0);
    // The two that were accepted, the replay and the one that If-Match refused.
    expect(total(series, 'genesis_command_batch_size_sum')).toBe(4);
    expect(total(series, 'genesis_command_queue_wait_seconds_count')).toBe(4);
    expect(total(series, 'genesis_command_transaction_duration_seconds_count', 'outcome="committed"')).toBe(4);
    const route = `route="${SESSIONS}/:session_id/commands"`;
    expect(total(series, 'genesis_http_request_duration_seconds_count', route, 'status="2xx"')).toBe(2);
    expect(total(series, 'genesis_http_request_duration_seconds_count', route, 'status="4xx"')).toBe(3);
    expect(total(series, 'genesis_database_pool_max_connections', 'pool="api"')).toBe(10);
    expect(total(series, 'genesis_database_pool_connections', 'pool="api"')).toBeGreaterThan(0);
  });

  it('follow events to the broker', async () => {
    await expect.poll(async () => total(await ofRelay(), 'genesis_relay_published_total'), SOON).toBe(2);
    const series = await ofRelay();
    expect(total(series, 'genesis_event_publish_latency_seconds_count')).toBe(2);
    const latency = total(series, 'genesis_event_publish_latency_seconds_sum') ?? 0;
    expect(latency).toBeGreaterThan(0);
    expect(latency).toBeLessThan(120);
    expect(total(series, 'genesis_relay_send_outcomes_total', 'outcome="acknowledged"')).toBe(2);
    for (const step of ['claim', 'send', 'mark']) {
      expect(total(series, `genesis_relay_${step}_batch_size_sum`)).toBe(2);
      expect(total(series, `genesis_relay_${step}_duration_seconds_sum`)).toBeGreaterThan(0);
    }
    expect(total(series, 'genesis_relay_leases_held')).toBe(8);
    expect(total(series, 'genesis_relay_circuit_open')).toBe(0);
    expect(total(series, 'genesis_relay_last_progress_timestamp_seconds')).toBeGreaterThan(Date.now() / 1_000 - 600);
    expect(total(series, 'genesis_commands_accepted_total')).toBeUndefined();
    // Told with each beat.
    await expect.poll(async () => total(await ofRelay(), 'genesis_relay_shard_state', 'state="active"'), SOON).toBe(8);
  });

  it('tell what is not published, from every process, and who holds which shard', async () => {
    await expect.poll(async () => total(await ofApi(), 'genesis_shard_state', 'state="active"'), SOON).toBe(8);
    expect(total(await ofApi(), 'genesis_outbox_pending_events')).toBe(0);
    expect(await relay.stop('SIGTERM')).toBe(0);
    const commands = await createSession();
    expect((await post(commands, feedback)).status).toBe(200);
    await expect.poll(async () => total(await ofApi(), 'genesis_outbox_pending_events'), SOON).toBe(2);
    const series = await ofApi();
    expect(total(series, 'genesis_outbox_oldest_unpublished_age_seconds')).toBeGreaterThan(0);
    expect(total(series, 'genesis_outbox_counted_all')).toBe(8);
    expect(total(series, 'genesis_outbox_backlog_bound_events')).toBeGreaterThanOrEqual(2);
    expect(total(series, 'genesis_shard_owner')).toBe(0);
    expect(total(series, 'genesis_shard_state', 'state="free"')).toBe(8);
    expect(total(series, 'genesis_relay_members')).toBe(0);
    await client.query(
      `UPDATE event_outbox SET retry_count = 1, scheduled_at = now() + interval '1 hour' WHERE status = 'PENDING' AND sequence = 1`,
    );
    await expect.poll(async () => total(await ofApi(), 'genesis_outbox_retry_events'), SOON).toBe(1);
    expect(total(await ofApi(), 'genesis_outbox_held_events')).toBe(1);
    await client.query(`UPDATE event_outbox SET status = 'FAILED', last_error = 'refused' WHERE retry_count = 1`);
    await expect.poll(async () => total(await ofApi(), 'genesis_outbox_failed_events'), SOON).toBe(1);
    expect(total(await ofApi(), 'genesis_outbox_sessions_on_hold')).toBe(1);
  });

  it('are answered within a second while the database is away, without what only it knows', async () => {
    proxy.silenceLinks();
    let slowest = 0;
    let silent = await scrape(apiAddress);
    const up = async () => {
      silent = await scrape(apiAddress);
      slowest = Math.max(slowest, silent.milliseconds);
      return total(silent.series, 'genesis_database_up');
    };
    await expect.poll(up, SOON).toBe(0);
    expect(slowest).toBeLessThan(1_000);
    expect(total(silent.series, 'genesis_outbox_pending_events')).toBeUndefined();
    expect(total(silent.series, 'genesis_commands_accepted_total')).toBe(4);
    proxy.refuse(true);
    const refused = await scrape(apiAddress);
    expect(refused.milliseconds).toBeLessThan(1_000);
    expect(total(refused.series, 'genesis_database_up')).toBe(0);
    expect(total(refused.series, 'genesis_shard_state')).toBeUndefined();
    expect((await post(SESSIONS, { title: 'x' })).status).toBe(503);
    const labels = ['command_type="CreateSession"', 'error_code="UNAVAILABLE"'];
    expect(total(await ofApi(), 'genesis_commands_failed_total', ...labels)).toBe(1);
    proxy.refuse(false);
    await expect.poll(async () => total(await ofApi(), 'genesis_database_up'), SOON).toBe(1);
    await expect.poll(async () => total(await ofApi(), 'genesis_outbox_failed_events'), SOON).toBe(1);
  });

  it('satisfy promtool', async ({ skip }) => {
    relay = launch('relay', { ...env, DATABASE_URL: database.url });
    await relay.says(/"msg":"ready"/u);
    for (const address of [apiAddress, relayAddress]) {
      const { text, contentType } = await scrape(address);
      expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
      const told = promtool(['check', 'metrics'], text);
      skip(told === null, 'there is no promtool');
      expect(told).toEqual({ status: 0, output: '' });
    }
  });
});
