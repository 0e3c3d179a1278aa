import { once } from 'node:events';
import { appendFile, chmod, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { kafkaJars, ensureJars } from '../../local/kafka/jars.ts';
import type { LocalInfrastructureOptions } from '../../local/local-infrastructure.ts';
import { LocalInfrastructureError, startLocalInfrastructure } from '../../local/local-infrastructure.ts';
import { folderOfTest, NOTHING, serversOn } from './folder.ts';

/** The sentence with which a start is refused; nothing may run afterwards. */
async function refusal(options: LocalInfrastructureOptions): Promise<string> {
  const error: unknown = await startLocalInfrastructure(options).then(
    (running) => running.stop().then(() => new Error('it started')),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LocalInfrastructureError);
  expect(serversOn(options.dataDir)).toEqual(NOTHING);
  return (error as Error).message;
}

async function busyPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

async function remembered(dataDir: string, kafka: Record<string, unknown> = {}): Promise<void> {
  const postgres = { user: 'genesis', password: 'secret' };
  await writeFile(join(dataDir, 'local.json'), JSON.stringify({ postgres, kafka: { clusterId: 'ours', ...kafka } }));
}

describe('a configured port that is busy', () => {
  it.each([
    ['postgresPort', 'LOCAL_POSTGRES_PORT'],
    ['kafkaPort', 'LOCAL_KAFKA_PORT'],
  ] as const)('%s is named with its variable', async (option, variable) => {
    const port = await busyPort();
    const sentence = await refusal({ dataDir: await folderOfTest(), [option]: port });
    expect(sentence).toContain(`Port ${port}, which ${variable} asks for`);
  });
});

describe('data that this version must not touch', () => {
  it('of another PostgreSQL', async () => {
    const dataDir = await folderOfTest();
    await remembered(dataDir);
    await mkdir(join(dataDir, 'postgres'));
    await writeFile(join(dataDir, 'postgres', 'PG_VERSION'), '17\n');
    expect(await refusal({ dataDir })).toContain('was made by PostgreSQL 17 and this is 18');
  });

  it('of another Kafka cluster', async () => {
    const dataDir = await folderOfTest();
    await remembered(dataDir);
    await mkdir(join(dataDir, 'kafka', 'data'), { recursive: true });
    await writeFile(join(dataDir, 'kafka', 'data', 'meta.properties'), 'version=1\ncluster.id=theirs\nnode.id=1\n');
    expect(await refusal({ dataDir })).toContain('belongs to another Kafka cluster (theirs, not ours)');
  });

  it('of a newer Kafka', async () => {
    const dataDir = await folderOfTest();
    await remembered(dataDir, { version: '4.10.0' });
    await mkdir(join(dataDir, 'kafka', 'data'), { recursive: true });
    await writeFile(join(dataDir, 'kafka', 'data', 'meta.properties'), 'version=1\ncluster.id=ours\nnode.id=1\n');
    expect(await refusal({ dataDir })).toContain('was last written by Kafka 4.10.0');
  });

  it('whose password is gone', async () => {
    const dataDir = await folderOfTest();
    await mkdir(join(dataDir, 'postgres'));
    expect(await refusal({ dataDir })).toContain('holds data but no local.json');
  });

  it('whose password file is damaged', async () => {
    const dataDir = await folderOfTest();
    await writeFile(join(dataDir, 'local.json'), '{"postgres":');
    expect(await refusal({ dataDir })).toContain('local.json is not readable');
  });
});

describe('a machine that lacks something', () => {
  /** A PATH with nothing but these programs, and no jars in the cache. */
  async function bareMachine(programs: Record<string, string>): Promise<void> {
    const bin = await folderOfTest();
    for (const [name, script] of Object.entries(programs)) {
      await writeFile(join(bin, name), `#!/bin/sh\n${script}\n`);
      await chmod(join(bin, name), 0o755);
    }
    vi.stubEnv('PATH', bin);
    vi.stubEnv('JAVA_HOME', '');
    vi.stubEnv('XDG_CACHE_HOME', bin);
  }

  it('no Java, no Maven, no Docker: says what to install', async () => {
    const dataDir = await folderOfTest();
    await bareMachine({});
    const sentence = await refusal({ dataDir });
    expect(sentence).toContain(
      'there is no Java in PATH, there is no working mvn in PATH, and no Docker daemon answers',
    );
    expect(sentence).toContain('DATABASE_URL and KAFKA_BROKERS');
  });

  it('a JAVA_HOME without Java: names it', async () => {
    const dataDir = await folderOfTest();
    await bareMachine({});
    vi.stubEnv('JAVA_HOME', '/nowhere');
    expect(await refusal({ dataDir })).toContain('there is no Java at /nowhere/bin/java (JAVA_HOME)');
  });

  it('an old Java: names its version', async () => {
    const dataDir = await folderOfTest();
    await bareMachine({ java: `echo 'openjdk version "11.0.2" 2019-01-15' >&2`, mvn: 'exit 0' });
    const sentence = await refusal({ dataDir });
    expect(sentence).toContain('the Java in PATH is version 11, and no Docker daemon answers');
  });

  it('a folder where a file stands: names the path', async () => {
    const file = join(await folderOfTest(), 'file');
    await writeFile(file, '');
    expect(await refusal({ dataDir: join(file, 'data') })).toContain(`${join(file, 'data')} cannot be a folder`);
  });
});

describe("Kafka's jars", () => {
  const never = new AbortController().signal;

  it('are pinned: the committed sums list the version that the POM asks for', async () => {
    const pom = await readFile(join(import.meta.dirname, '../../local/kafka/pom.xml'), 'utf8');
    expect(pom).toContain(`<artifactId>kafka_2.13</artifactId>\n      <version>${kafkaJars().version}</version>`);
  });

  it('a damaged one is named, and nothing half-made is left', async () => {
    await ensureJars(kafkaJars(), () => undefined, never);
    const { folder, version } = kafkaJars();
    const dataDir = await folderOfTest();
    const cache = await folderOfTest();
    vi.stubEnv('XDG_CACHE_HOME', cache);
    await cp(folder, kafkaJars().folder, { recursive: true });
    await appendFile(join(kafkaJars().folder, `kafka-clients-${version}.jar`), 'x');
    const sentence = await refusal({ dataDir });
    expect(sentence).toContain(`kafka-clients-${version}.jar in ${kafkaJars().folder} is not what`);
    expect(sentence).toContain('delete that folder');
    expect((await readdir(dataDir)).filter((name) => name.includes('.new') || name.includes('password'))).toEqual([]);
  });

  it('a stranger among them is named', async () => {
    vi.stubEnv('XDG_CACHE_HOME', await folderOfTest());
    const { folder } = kafkaJars();
    await mkdir(folder, { recursive: true });
    await symlink('/dev/null', join(folder, 'stranger.jar'));
    await expect(ensureJars(kafkaJars(), () => undefined, never)).rejects.toThrow(`stranger.jar in ${folder}`);
  });

  it('fetching them can be called off, and leaves nothing', async () => {
    const dataDir = await folderOfTest();
    const cache = await folderOfTest();
    vi.stubEnv('XDG_CACHE_HOME', cache);
    const callingOff = new AbortController();
    const starting = startLocalInfrastructure({
      dataDir,
      signal: callingOff.signal,
      progress: (line) => {
        if (line.startsWith('Fetching Kafka')) callingOff.abort(new Error('enough'));
      },
    });
    await expect(starting).rejects.toThrow('enough');
    expect(await readdir(join(cache, 'genesis'))).toEqual([]);
    expect((await readdir(dataDir)).toSorted()).toEqual(['keeper.lock', 'local.json', 'logs']);
    expect(serversOn(dataDir)).toEqual(NOTHING);
  });
});
