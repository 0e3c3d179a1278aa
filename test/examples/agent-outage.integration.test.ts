import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  ensureDatabase,
  startLocalInfrastructure,
  type LocalInfrastructure,
} from '../../local/local-infrastructure.ts';
import { migrate } from '../../src/postgres/migrate.ts';
import { Rig } from './agent-rig.ts';

/** A database and a broker of this file's own: it takes them away. */
describe('the agent in an outage of everything', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'genesis-outage-'));
  let infrastructure: LocalInfrastructure;
  let rig: Rig;

  const start = async () => {
    infrastructure = await startLocalInfrastructure({ dataDir, durable: false });
  };

  beforeAll(async () => {
    await start();
    const databaseUrl = await ensureDatabase(infrastructure.postgres.url, 'outage');
    await migrate(databaseUrl);
    rig = new Rig({ databaseUrl, brokers: infrastructure.kafka.brokers, topic: 'domain-events' });
    await rig.startGenesis();
  });
  afterAll(async () => {
    await rig.stop();
    await infrastructure.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('waits, joins again and goes on where it was, unaided', { timeout: 120_000 }, async () => {
    const agent = await rig.startAgent();
    onTestFinished(async () => void (await agent.stop()));
    const before = await rig.ask();
    await rig.hasEvents(before, 'Requested', 'Proposed');

    await infrastructure.stop();
    await agent.said('joining again');
    await start();

    const after = await rig.ask();
    await rig.hasEvents(after, 'Requested', 'Proposed');
    expect(await rig.eventsOf(before)).toEqual(['Requested', 'Proposed']);
  });

  it('stops within 5 s though nobody answers its farewell', { timeout: 120_000 }, async () => {
    const agent = await rig.startAgent({ AGENT_DELAY: '3600' });
    await rig.ask();
    await agent.said('making concepts');
    await infrastructure.stop();
    const began = performance.now();
    await agent.stop();
    expect(performance.now() - began).toBeLessThan(5_000);
  });
});
