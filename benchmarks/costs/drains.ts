import pg from 'pg';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { BacklogWriter } from '../relay/backlog.ts';
import { drain, inClone } from '../relay/drain.ts';
import { createDatabase, type Stage } from '../relay/stage.ts';
import type { Servers } from '../servers.ts';
import type { Variant } from './main.ts';

interface Setting {
  readonly name: string;
  readonly delivery?: DeliveryMode;
  readonly env?: Readonly<Record<string, string>>;
  /** Shards of the database, and partitions of the topic. */
  readonly shards?: number;
}

export const DRAINS: readonly Setting[] = [
  { name: 'as it is (8 shards, at least once, batches up to 2,000)' },
  { name: 'exactly once', delivery: 'exactly-once' },
  { name: 'RELAY_BATCH_MAX=500', env: { RELAY_BATCH_MAX: '500' } },
  { name: 'RELAY_BATCH_MAX=100', env: { RELAY_BATCH_MAX: '100' } },
  { name: 'RELAY_BATCH_MAX=100, exactly once', delivery: 'exactly-once', env: { RELAY_BATCH_MAX: '100' } },
  { name: '1 shard', shards: 1 },
  { name: '32 shards', shards: 32 },
];

const DEFAULT_SHARDS = 8;
const SESSIONS = 10_000;
const PAYLOAD = 300;
const STEP = 20_000;

interface Plan {
  readonly variants: readonly Setting[];
  readonly rounds: number;
  readonly events: number;
}

/** The same backlog through one relay, with one setting changed. */
export async function measureDrains(
  { postgres, cluster, folder }: Servers,
  { variants, rounds, events }: Plan,
): Promise<readonly Variant[]> {
  const stage: Stage = { postgres, cluster, folder, report: () => undefined };
  const templates = new Map<number, string>();
  const results = variants.map((setting) => ({
    setting,
    variant: { name: setting.name, rates: [], cpu: [] } satisfies Variant as Variant,
  }));
  for (let round = 0; round < rounds; round += 1) {
    for (const { setting, variant } of results) {
      const { delivery = 'at-least-once', env = {}, shards = DEFAULT_SHARDS } = setting;
      const template = templates.get(shards) ?? (await createBacklog(stage, shards, events));
      templates.set(shards, template);
      const drained = await inClone(stage, template, delivery, (place) => drain(stage, place, events), {
        env,
        partitions: shards,
      });
      variant.rates.push(drained.rate);
      variant.cpu.push(drained.cpu + drained.databaseCpu);
      console.log(`  round ${round + 1}, ${setting.name}: ${Math.round(drained.rate)}/s`);
    }
  }
  return results.map(({ variant }) => variant);
}

async function createBacklog(stage: Stage, shards: number, events: number): Promise<string> {
  const template = await createDatabase(stage);
  const databaseUrl = stage.postgres.url(template);
  await setShards(databaseUrl, shards);
  const writer = await BacklogWriter.open({
    databaseUrl,
    topic: 'bench',
    sessions: SESSIONS,
    payload: PAYLOAD,
    shards,
  });
  while (writer.written < events) await writer.write(Math.min(STEP, events - writer.written));
  await writer.close();
  return template;
}

/** Of a database in which nothing has been written yet. */
async function setShards(databaseUrl: string, shards: number): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('UPDATE genesis_settings SET shards = $1', [shards]);
    await client.query('DELETE FROM relay_shards WHERE shard >= $1', [shards]);
    await client.query(
      'INSERT INTO relay_shards (shard) SELECT n FROM generate_series(0, $1::int - 1) AS n ON CONFLICT DO NOTHING',
      [shards],
    );
  } finally {
    await client.end();
  }
}
