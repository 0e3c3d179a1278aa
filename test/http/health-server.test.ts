import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { createHealthServer, type HealthServer } from '../../src/http/health-server.ts';
import type { MetricsPage } from '../../src/http/ports.ts';
import { stuckReason, type RelayStatus } from '../../src/relay/relay-status.ts';

let server: HealthServer | null = null;

afterEach(async () => {
  await server?.stop();
});

async function start(ok: () => boolean, metrics?: () => Promise<MetricsPage>): Promise<string> {
  server = createHealthServer({
    host: '127.0.0.1',
    port: 0,
    readiness: () => [{ name: 'relay', ok: ok() }],
    ...(metrics === undefined ? {} : { metrics }),
    logger: pino({ level: 'silent' }),
  });
  await server.start();
  return server.address();
}

async function get(url: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

test('a process without API tells that it lives, and whether it can work', async () => {
  let ok = true;
  const address = await start(() => ok);
  expect(await get(`${address}/livez`)).toEqual({ status: 200, body: { status: 'ok' } });
  expect(await get(`${address}/readyz?verbose`)).toEqual({
    status: 200,
    body: { status: 'ready', checks: [{ name: 'relay', ok: true }] },
  });
  ok = false;
  expect(await get(`${address}/readyz`)).toMatchObject({ status: 503, body: { status: 'not ready' } });
  expect(await get(`${address}/livez`)).toMatchObject({ status: 200 });
  expect(await get(`${address}/metrics`)).toMatchObject({ status: 404 });
});

test('a process without API tells its metrics, if it measures anything', async () => {
  let fails = false;
  const metrics = async () => {
    if (fails) throw new Error('a defect');
    return { contentType: 'text/plain; version=0.0.4', text: 'up 1\n' };
  };
  const address = await start(() => true, metrics);
  const answer = await fetch(`${address}/metrics`);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(await answer.text()).toBe('up 1\n');
  fails = true;
  expect((await fetch(`${address}/metrics`)).status).toBe(500);
  expect(await get(`${address}/livez`)).toMatchObject({ status: 200 });
});

test('an address that is taken is told with what to do', async () => {
  const address = await start(() => true);
  const other = createHealthServer({
    host: '127.0.0.1',
    port: Number(new URL(address).port),
    readiness: () => [],
    logger: pino({ level: 'silent' }),
  });
  await expect(other.start()).rejects.toThrow(/HEALTH_PORT/u);
});

const STATUS: RelayStatus = {
  state: 'draining',
  since: 1_000,
  lastProgressAt: null,
  lastError: null,
  published: 0,
  found: 0,
  retried: 0,
  failed: 0,
  refused: null,
  databaseAway: false,
  delivery: 'at-least-once',
  shards: [],
};

test('a relay is stuck when it has been at work for half a minute and has sent nothing', () => {
  expect(stuckReason(STATUS, 30_999)).toBeNull();
  expect(stuckReason(STATUS, 31_000)).toBe('the relay has work and has sent nothing for 30 s');
  expect(stuckReason({ ...STATUS, lastProgressAt: 20_000 }, 31_000)).toBeNull();
  expect(stuckReason({ ...STATUS, databaseAway: true }, 1_000_000)).toBeNull();
  expect(stuckReason({ ...STATUS, refused: 'another mode' }, 1_000)).toBe('another mode');
  for (const state of ['idle', 'standby', 'stalled', 'stopped'] as const) {
    expect(stuckReason({ ...STATUS, state }, 1_000_000)).toBeNull();
  }
});
