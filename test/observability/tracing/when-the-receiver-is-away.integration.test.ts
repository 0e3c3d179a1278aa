import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished, vi } from 'vitest';
import { createDevelopmentToken } from '../../../src/http/development-token.ts';
import { launch, type Instance } from '../../e2e/instance.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { scrape, total } from '../metrics/series.ts';
import { startReceiver, type Receiver } from './receiver.ts';

const SECRET = 'only for tests: thirty-two bytes and more';
const SESSIONS = '/api/v1/genesis/sessions';
/** Milliseconds after which an export is given up. Whoever stops does not wait for that. */
const EXPORT_LIMIT = 5_000;
/** Tells of each module of OpenTelemetry's SDK, and of ours that needs it, that is loaded. Its API comes with prom-client anyway. */
const SPY = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({ load(url, context, next) {
    if (/@opentelemetry\\/(?!api\\/)|observability\\/tracing\\/(?!trace-metrics)/.test(url)) console.log('LOADED ' + url);
    return next(url, context);
  } });
`)}`;

async function droppedBy(address: string, reason: string): Promise<number | undefined> {
  return total((await scrape(address)).series, 'genesis_trace_spans_dropped_total', `reason="${reason}"`);
}

describe('an API process', { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let token: string;
  beforeAll(async () => {
    database = await createTestDatabase();
    token = await createDevelopmentToken({ secret: SECRET, user: 'ada', roles: [], expiresIn: 3_600 });
  });
  afterAll(() => database.drop());

  async function startApi(env: Readonly<Record<string, string>>) {
    const api: Instance = launch('api', {
      DATABASE_URL: database.url,
      KAFKA_BROKERS: inject('brokers').join(','),
      KAFKA_TOPIC: `traces-${randomUUID()}`,
      JWT_SECRET: SECRET,
      RATE_LIMIT_PER_USER: '0',
      PORT: '0',
      LOG_LEVEL: 'DEBUG',
      NODE_OPTIONS: `--import ${SPY}`,
      ...env,
    });
    onTestFinished(async () => void (await api.stop('SIGKILL')));
    await api.says(/"msg":"ready"/u);
    const address = /"api":"(http:[^"]+)"/u.exec(api.output())?.[1] ?? '';
    const create = async (headers: Readonly<Record<string, string>> = {}): Promise<number> => {
      const response = await fetch(`${address}${SESSIONS}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
        body: '{}',
      });
      await response.arrayBuffer();
      return response.status;
    };
    const many = (count: number) => Promise.all(Array.from({ length: count }, () => create()));
    return { api, address, create, many };
  }

  async function receiver(...manner: Parameters<typeof startReceiver>): Promise<Receiver> {
    const started = await startReceiver(...manner);
    onTestFinished(() => started.stop());
    return started;
  }

  it('loads nothing of OpenTelemetry unless an endpoint is set, so nothing is wrapped', async () => {
    const off = await startApi({ OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' });
    expect(await off.create()).toBe(201);
    expect(await off.api.stop('SIGTERM')).toBe(0);
    expect(off.api.output()).not.toContain('LOADED');
    const disabled = await startApi({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' });
    expect(disabled.api.output()).not.toContain('LOADED');

    const on = await startApi({ OTEL_EXPORTER_OTLP_ENDPOINT: (await receiver()).endpoint });
    expect(on.api.output()).toContain('LOADED');
  });

  it('exports nothing with a ratio of 0', async () => {
    const { endpoint, headers, spans } = await receiver();
    const { api, many } = await startApi({
      OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0',
    });
    expect(new Set(await many(50))).toEqual(new Set([201]));
    // All that waits goes out before it ends.
    expect(await api.stop('SIGTERM')).toBe(0);
    expect({ exports: headers.length, spans }).toEqual({ exports: 0, spans: [] });
  });

  it('exports what it did last before it ends', async () => {
    const { endpoint, spans } = await receiver();
    const { api, many } = await startApi({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    await many(20);
    expect(await api.stop('SIGTERM')).toBe(0);
    expect(spans.filter(({ name }) => name === `POST ${SESSIONS}`)).toHaveLength(20);
  });

  it('answers while the receiver hangs, counts what it drops, and stops in time', async () => {
    const { endpoint, headers } = await receiver('hangs');
    const { api, address, create, many } = await startApi({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint });
    await create();
    // From here on an export is under way that is never answered.
    await vi.waitFor(() => expect(headers.length).toBeGreaterThan(0), 10_000);
    expect(new Set(await many(100))).toEqual(new Set([201]));
    const failed = async () => droppedBy(address, 'export_failed');
    await vi.waitFor(async () => expect(await failed()).toBeGreaterThan(0), { timeout: 30_000, interval: 200 });
    expect(new Set(await many(100))).toEqual(new Set([201]));

    const began = performance.now();
    expect(await api.stop('SIGTERM')).toBe(0);
    expect(performance.now() - began).toBeLessThan(EXPORT_LIMIT);
    expect(api.output()).toMatch(/"reason":"stopped".*spans were dropped/u);
  });

  it.each(['is away', 'refuses'] as const)(
    'goes on when the receiver %s, says so once, and stops in time',
    async (how) => {
      const endpoint = how === 'is away' ? 'http://127.0.0.1:9' : (await receiver('refuses')).endpoint;
      const { api, address, many } = await startApi({
        OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20hunter2',
      });
      for (let round = 0; round < 3; round += 1) expect(new Set(await many(50))).toEqual(new Set([201]));
      const failed = async () => droppedBy(address, 'export_failed');
      await vi.waitFor(async () => expect(await failed()).toBeGreaterThan(0), { timeout: 30_000, interval: 200 });
      expect(await many(50)).toContain(201);
      expect(api.output().match(/spans were dropped/gu)).toHaveLength(1);
      const began = performance.now();
      expect(await api.stop('SIGTERM')).toBe(0);
      expect(performance.now() - began).toBeLessThan(EXPORT_LIMIT);
      expect(api.output()).not.toMatch(/hunter2/u);
    },
  );
});
