import pg from 'pg';
import type { Closing } from '../closing.ts';
import { cpuOfFamily } from './cpu.ts';
import type { Stage } from './stage.ts';

/** What PostgreSQL has to do now and then for rows that were written, done between the loads instead of within them. */
export interface Upkeep {
  /** Of the API's database or of its reference's, once a load has ended: microseconds of CPU that it took. */
  after(load: 'api' | 'reference'): Promise<number>;
}

/** Log files of 16 MB: more than the loads of a few rounds fill. */
const LOG_FILES = 256;

/**
 * Autovacuum would come to a young table of this growth every minute, for some seconds, in whichever load is under way, the one that wrote the
 * rows or the other. And a new server makes each log file anew, which one that has been at work for a while does not: here they are made
 * beforehand, and a checkpoint lays them by for later.
 */
export async function openUpkeep(closing: Closing, stage: Stage): Promise<Upkeep> {
  const connect = (url: string): Promise<pg.Client> =>
    closing.open(
      () => connected(url),
      (client) => client.end(),
    );
  const [api, reference] = [await connect(stage.databaseUrl), await connect(stage.referenceUrl)];
  await api.query('ALTER SYSTEM SET autovacuum = off');
  await api.query(`ALTER SYSTEM SET min_wal_size = '${LOG_FILES * 16}MB'`);
  await api.query('SELECT pg_reload_conf()');
  for (let file = 0; file < LOG_FILES; file += 1) {
    await api.query("SELECT pg_logical_emit_message(false, 'benchmark', 'begun')");
    await api.query('SELECT pg_switch_wal()');
  }
  await api.query('CHECKPOINT');
  return {
    async after(load) {
      const before = cpuOfFamily(stage.postmaster);
      await (load === 'api' ? api : reference).query('VACUUM');
      return cpuOfFamily(stage.postmaster) - before;
    },
  };
}

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}
