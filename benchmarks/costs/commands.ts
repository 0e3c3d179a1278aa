import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { migrate } from '../../src/postgres/migrate.ts';
import { startApi } from '../api/api-process.ts';
import { applyLoad } from '../api/load.ts';
import { createSessions, type Stage } from '../api/stage.ts';
import type { Closing } from '../closing.ts';
import type { Servers } from '../servers.ts';
import type { Variant } from './main.ts';
import { startTraceSink } from './trace-sink.ts';

interface Setting {
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Settings of the database. */
  readonly database?: Readonly<Record<string, string>>;
  /** Traced, and this part of it recorded (0–1). Absent: not traced. */
  readonly traced?: number;
}

export const COMMANDS: readonly Setting[] = [
  { name: 'as it is' },
  { name: 'synchronous_commit = off', database: { synchronous_commit: 'off' } },
  { name: 'COMMAND_BATCH_MAX=1', env: { COMMAND_BATCH_MAX: '1' } },
  { name: 'COMMAND_BATCH_MAX=16', env: { COMMAND_BATCH_MAX: '16' } },
  { name: 'traced, none recorded', traced: 0 },
  { name: 'traced, 1 % recorded', traced: 0.01 },
  { name: 'traced, all recorded', traced: 1 },
];

const CONNECTIONS = 64;
const SESSIONS = 1_000;
const WARM_UP = 3;

interface Plan {
  readonly variants: readonly Setting[];
  readonly rounds: number;
  readonly seconds: number;
}

/** Commands over HTTP at 64 connections, an API and a database for each setting. */
export async function measureCommands(
  closing: Closing,
  servers: Servers,
  { variants, rounds, seconds }: Plan,
): Promise<readonly Variant[]> {
  const stages: { readonly stage: Stage; readonly variant: Variant }[] = [];
  const receiver = await closing.open(startTraceSink, (sink) => sink.stop());
  for (const [number, setting] of variants.entries()) {
    const env = { ...setting.env, ...tracing(setting, receiver.address) };
    const stage = await openApi(closing, servers, { ...setting, env }, `commands_${number}`);
    await applyLoad(stage, CONNECTIONS, WARM_UP);
    stages.push({ stage, variant: { name: setting.name, rates: [], cpu: [] } });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (const { stage, variant } of stages) {
      const { perSecond, cpu } = await applyLoad(stage, CONNECTIONS, seconds);
      variant.rates.push(perSecond);
      variant.cpu.push(cpu.api + cpu.postgres);
      console.log(`  round ${round + 1}, ${variant.name}: ${Math.round(perSecond)}/s`);
    }
  }
  return stages.map(({ variant }) => variant);
}

function tracing({ traced }: Setting, address: string): Readonly<Record<string, string>> {
  if (traced === undefined) return {};
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: address,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: String(traced),
  };
}

async function openApi(
  closing: Closing,
  { postgres, folder }: Servers,
  { env = {}, database = {} }: Setting,
  name: string,
): Promise<Stage> {
  const databaseUrl = await postgres.createDatabase(name);
  await migrate(databaseUrl);
  await configure(databaseUrl, name, database);
  const secret = randomBytes(32).toString('hex');
  const own = join(folder, name);
  mkdirSync(own);
  const api = await closing.open(
    () => startApi({ databaseUrl, folder: own, secret, env, nodeOptions: [] }),
    (running) => running.stop(),
  );
  const sessionsFile = join(own, 'sessions.tsv');
  writeFileSync(sessionsFile, (await createSessions(api.address, secret, SESSIONS)).join('\n'));
  return { folder: own, postmaster: postgres.pid(), databaseUrl, referenceUrl: databaseUrl, api, sessionsFile };
}

async function configure(url: string, name: string, settings: Readonly<Record<string, string>>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const [setting, value] of Object.entries(settings)) {
      await client.query(`ALTER DATABASE ${name} SET ${setting} = ${value}`);
    }
  } finally {
    await client.end();
  }
}
