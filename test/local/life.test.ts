import { Admin, Producer, stringSerializers } from '@platformatic/kafka';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataFolder } from '../../local/data-folder.ts';
import { readNote } from '../../local/folder-lock.ts';
import type { LocalInfrastructure } from '../../local/local-infrastructure.ts';
import {
  ensureDatabase,
  LocalInfrastructureError,
  runningEndpoints,
  startLocalInfrastructure,
} from '../../local/local-infrastructure.ts';
import { kill, NOTHING, serversOn, temporaryFolder } from './folder.ts';

const TOPIC = 'survivors';

/** What is left on a folder some time after. */
const eventually = { timeout: 15_000, interval: 50 };

async function write(url: string, brokers: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('CREATE TABLE survivor (name text)');
  await client.query("INSERT INTO survivor VALUES ('written before')");
  await client.end();
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: brokers });
  await admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 });
  await admin.close();
  const producer = new Producer({ clientId: 'test', bootstrapBrokers: brokers, serializers: stringSerializers });
  await producer.send({ messages: [{ topic: TOPIC, key: 'key', value: 'written before' }], acks: -1 });
  await producer.close();
}

async function read(url: string, brokers: readonly string[]): Promise<{ rows: number; records: number }> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rowCount } = await client.query('SELECT FROM survivor');
  await client.end();
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [...brokers] });
  const [topic] = await admin.listOffsets({
    topics: [{ name: TOPIC, partitions: [{ partitionIndex: 0, timestamp: -1n }] }],
  });
  await admin.close();
  return { rows: rowCount ?? 0, records: Number(topic?.partitions[0]?.offset) };
}

const ORPHANS = 'Ending the servers that an earlier, killed run has left …';

const ALL = { rows: 1, records: 1 };

async function startInOtherProcess(dataDir: string): Promise<{ pid: number; url: string; brokers: string[] }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'parent.ts'), dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { pid: child.pid ?? 0, ...(JSON.parse(line) as { url: string; brokers: string[] }) };
}

function keeperPid(dataDir: string): number {
  return readNote(dataFolder(dataDir))?.keeperPid ?? 0;
}

function descendants(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const children = table.filter(([, parent]) => parent === pid).map(([child = 0]) => child);
  return children.flatMap((child) => [child, ...descendants(child)]);
}

// One life after the other on the same folder: each start finds what the end before it has left.
describe('the life of local infrastructure', { timeout: 120_000 }, () => {
  let dataDir: string;
  let parent: { pid: number; url: string; brokers: string[] };
  let running: LocalInfrastructure;
  const told: string[] = [];

  const start = (): Promise<LocalInfrastructure> => {
    told.length = 0;
    return startLocalInfrastructure({ dataDir, progress: (line) => told.push(line) });
  };

  const hasAll = async (): Promise<void> => {
    expect(running.postgres.url).toBe(parent.url);
    expect(running.kafka.brokers).toEqual(parent.brokers);
    expect(await read(running.postgres.url, running.kafka.brokers)).toEqual(ALL);
  };

  beforeAll(async () => {
    dataDir = await temporaryFolder();
  });

  afterAll(async () => {
    await running?.stop();
    // None, unless a test above has failed.
    const { postgres, kafka } = serversOn(dataDir);
    for (const pid of [...postgres, ...kafka]) kill(pid, 'SIGKILL');
    await rm(dataDir, { recursive: true, force: true, maxRetries: 3 });
  });

  it('starts in an empty folder and serves both protocols', async () => {
    parent = await startInOtherProcess(dataDir);
    await write(parent.url, parent.brokers);
    expect(await read(parent.url, parent.brokers)).toEqual(ALL);
  });

  it('creates a database once, also when asked twice at the same time', async () => {
    const urls = await Promise.all([1, 2, 3].map(() => ensureDatabase(parent.url, 'infinite_scribe')));
    urls.push(await ensureDatabase(parent.url, 'infinite_scribe'));
    for (const url of urls) expect(new URL(url).pathname).toBe('/infinite_scribe');
  });

  it('refuses a second start on the folder and names who runs there', async () => {
    const second = startLocalInfrastructure({ dataDir });
    await expect(second).rejects.toThrow(`already running as pid ${parent.pid}`);
    await expect(second).rejects.toBeInstanceOf(LocalInfrastructureError);
    expect(await read(parent.url, parent.brokers)).toEqual(ALL);
  });

  it('tells another process how to reach it', () => {
    const { pid, url, brokers } = parent;
    expect(runningEndpoints(dataDir)).toEqual({ pid, postgresUrl: url, brokers });
  });

  it('ends with its parent, even a killed one; the next start waits for that and has the same data and ports', async () => {
    const before = serversOn(dataDir);
    kill(parent.pid, 'SIGKILL');
    running = await start();
    // The keeper has ended the servers, not the next start.
    expect(told).not.toContain(ORPHANS);
    const after = serversOn(dataDir);
    expect(after.postgres).not.toEqual(before.postgres);
    expect([before.postgres, before.kafka, after.postgres, after.kafka].map(({ length }) => length)).toEqual([
      1, 1, 1, 1,
    ]);
    await hasAll();
  });

  it('after its keeper was killed: says so, and the next start ends the servers that were left', async () => {
    kill(keeperPid(dataDir), 'SIGKILL');
    expect((await running.failed).message).toContain('keeps PostgreSQL and Kafka ended unexpectedly');
    expect(serversOn(dataDir)).not.toEqual(NOTHING);
    running = await start();
    expect(told).toContain(ORPHANS);
    await hasAll();
  });

  it('after all processes were killed at once: the next start recovers the data', async () => {
    const keeper = keeperPid(dataDir);
    for (const pid of [keeper, ...descendants(keeper)]) kill(pid, 'SIGKILL');
    expect(await running.failed).toBeInstanceOf(LocalInfrastructureError);
    running = await start();
    await hasAll();
  });

  it('tells which server died, with the end of its log, and stops the other', async () => {
    kill(serversOn(dataDir).postgres[0], 'SIGQUIT');
    const { message } = await running.failed;
    expect(message).toMatch(/^PostgreSQL ended unexpectedly.*postgres\.log/);
    expect(message).toContain('immediate shutdown request');
    expect(serversOn(dataDir).kafka).toHaveLength(1);
    await running.stop();
    await running.stop();
    expect(serversOn(dataDir)).toEqual(NOTHING);
    expect(runningEndpoints(dataDir)).toBeUndefined();
  });

  it('can be called off while the servers start, and leaves none', async () => {
    const callingOff = new AbortController();
    const starting = startLocalInfrastructure({ dataDir, signal: callingOff.signal });
    const ended = expect(starting).rejects.toThrow('enough');
    await expect.poll(() => serversOn(dataDir).kafka, eventually).toHaveLength(1);
    callingOff.abort(new Error('enough'));
    await ended;
    expect(serversOn(dataDir)).toEqual(NOTHING);
  });
});
