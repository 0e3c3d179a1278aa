import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { prometheusTools } from '../../checks/promtool.ts';
import { Clients } from '../../faults/alerts/clients.ts';
import { startPrometheus, type PrometheusServer } from '../../faults/alerts/prometheus-server.ts';
import { choosePort } from '../../local/ports.ts';
import { launch, type Instance } from '../e2e/instance.ts';
import { startGenesis } from '../cli/genesis.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { ALERTS, QUERIES, RECORDINGS, SERIES } from './delivered.ts';
import { namedIn } from './promql.ts';

const SECRET = 'only for tests: thirty-two bytes and more';
const SOON = { timeout: 60_000, interval: 500 };
/** What shows nothing while all is well: nothing fires, failed, or is traced. */
const EMPTY_WHEN_WELL = ['Alerts, A', 'Failed, A', 'Refused, A', 'Trace spans, A', 'Trace spans, B'];

// With a Prometheus that scrapes them, which says of itself what is an expression and which series there are.
describe('an API, a relay and a reconciliation', { timeout: 300_000 }, () => {
  const tools = prometheusTools();
  const folder = mkdtempSync(join(tmpdir(), 'genesis-prometheus-'));
  let database: TestDatabase;
  let programs: readonly Instance[] = [];
  let reconcile: ReturnType<typeof startGenesis>;
  let prometheus: PrometheusServer;
  let clients: Clients;

  beforeAll(async () => {
    if (tools === null) return;
    database = await createTestDatabase();
    const taken = new Set<number>();
    const port = () => choosePort({ variable: 'PORT', use: 'a test', taken });
    const [apiPort, relayPort, reconcilePort] = [await port(), await port(), await port()];
    const env = {
      DATABASE_URL: database.url,
      KAFKA_BROKERS: inject('brokers').join(','),
      KAFKA_TOPIC: `prometheus-${randomUUID()}`,
      KAFKA_REPLICATION: '1',
      JWT_SECRET: SECRET,
    };
    const relay = launch('relay', { ...env, HEALTH_PORT: String(relayPort) });
    const api = launch('api', { ...env, PORT: String(apiPort) });
    programs = [relay, api];
    await Promise.all(programs.map((program) => program.says(/"msg":"ready"/u)));
    reconcile = startGenesis(
      env,
      'reconcile',
      '--follow',
      '--interval',
      '0.5',
      '--metrics-port',
      String(reconcilePort),
    );
    prometheus = await startPrometheus({ program: tools.prometheus, folder, factor: 60 });
    const at = (own: number) => [`127.0.0.1:${own}`];
    prometheus.scrape({
      'genesis-api': at(apiPort),
      'genesis-relay': at(relayPort),
      'genesis-reconcile': at(reconcilePort),
    });
    clients = await Clients.create(`127.0.0.1:${apiPort}`, SECRET);
    clients.start(10);
  }, 240_000);
  afterAll(async () => {
    if (tools === null) return;
    await clients.stop();
    reconcile.kill('SIGTERM');
    await Promise.all(programs.map((program) => program.stop('SIGTERM')));
    await prometheus.stop();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('give every query of the dashboard something to show', async ({ skip }) => {
    skip(tools === null, 'there is no prometheus');
    const empty = async () => {
      const answers = await Promise.all(
        QUERIES.map(async ({ name, expr }) => ({ name, found: await prometheus.query(expr) })),
      );
      return answers.filter(({ found }) => found.length === 0).map(({ name }) => name);
    };
    await expect.poll(async () => (await empty()).filter((name) => !EMPTY_WHEN_WELL.includes(name)), SOON).toEqual([]);
    // What the dashboard shows as numbers is some number: NaN and infinity would be shown as nothing. A share is NaN
    // until two scrapes differ, which on a busy machine is later than the first series.
    const notANumber = async () => {
      const answers = await Promise.all(
        QUERIES.slice(0, 8).map(async ({ name, expr }) => ({ name, value: (await prometheus.query(expr))[0]?.value })),
      );
      return answers.filter(({ value }) => !Number.isFinite(value)).map(({ name }) => name);
    };
    await expect.poll(notANumber, SOON).toEqual([]);
  });

  it('have every label that a query goes by, or that a legend shows', async ({ skip }) => {
    skip(tools === null, 'there is no prometheus');
    const labelsOf = async (metric: string) =>
      new Set((await prometheus.series(metric)).flatMap((series) => Object.keys(series)));
    const asked = [...QUERIES, ...[...ALERTS, ...RECORDINGS].map(({ expr }) => ({ expr, legend: [] }))];
    for (const { expr, legend } of asked) {
      const { selectors, grouping } = namedIn(expr);
      const all = new Set<string>();
      for (const { metric, labels } of selectors) {
        if (metric === 'ALERTS' || metric.startsWith('genesis_trace_') || metric === 'genesis_commands_refused_total')
          continue;
        const has = await labelsOf(metric);
        expect({ metric, found: has.size > 0 }).toEqual({ metric, found: true });
        expect({ metric, missing: labels.filter((label) => !has.has(label)) }).toEqual({ metric, missing: [] });
        for (const label of has) all.add(label);
      }
      const missing = all.size === 0 ? [] : [...grouping, ...legend].filter((label) => !all.has(label));
      expect({ expr, missing }).toEqual({ expr, missing: [] });
    }
  });

  it('expose every metric that docs and tests know of', async ({ skip }) => {
    skip(tools === null, 'there is no prometheus');
    const names = [...SERIES.keys()].filter((name) => /^(?:genesis|process)_/u.test(name));
    const absent = names.filter((name) => !/^genesis_(?:trace_|commands_refused)/u.test(name));
    const missing: string[] = [];
    for (const name of absent) if ((await prometheus.series(name)).length === 0) missing.push(name);
    expect(missing).toEqual([]);
  });

  it('keep every alert silent', async ({ skip }) => {
    skip(tools === null, 'there is no prometheus');
    const firing = async () =>
      (await prometheus.alerts()).filter(({ state }) => state === 'firing').map(({ labels }) => labels['alertname']);
    await expect.poll(firing, SOON).toEqual([]);
  });
});
