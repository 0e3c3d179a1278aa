import pg from 'pg';
import { readEarlierRuns, type EarlierRuns } from './earlier-runs.ts';
import { errorCode } from './errors.ts';
import { judgeMigrations, type MigrationState } from './migrate.ts';
import { sql } from './sql.ts';

/** What a database is like, as far as it matters to Genesis. */
export interface DatabaseFacts {
  /** 180004 for 18.4. */
  readonly version: number;
  readonly versionText: string;
  readonly user: string;
  readonly superuser: boolean;
  readonly encoding: string;
  readonly standby: boolean;
  /** Something between shares sessions of the server between clients. */
  readonly pooled: boolean;
  readonly synchronousCommit: string;
  readonly fsync: boolean;
  readonly fullPageWrites: boolean;
  readonly autovacuum: boolean;
  readonly synchronousStandbys: string;
  /** Those that stream from here, as far as it can be told. */
  readonly standbys: number;
  /** Connections of those for whom none are reserved. */
  readonly mostConnections: number;
  readonly usedConnections: number;
  /** Of this user, and of this database; -1: there is no limit. */
  readonly userLimit: number;
  readonly usedByUser: number;
  readonly databaseLimit: number;
  readonly usedInDatabase: number;
  /** Milliseconds that its clock is ahead of this machine's, to within `clockError`. */
  readonly clockAhead: number;
  readonly clockError: number;
  /** Null: none was ever applied. `hidden`: this user may not see which were. */
  readonly migrations: MigrationState | 'hidden' | null;
  /** What this user may not do, by table or sequence. */
  readonly missingRights: readonly MissingRights[];
  /** Null: the tables are not those of this program. */
  readonly content: Content | null;
}

export interface MissingRights {
  readonly relation: string;
  readonly sequence: boolean;
  /** SELECT, INSERT, … */
  readonly rights: readonly string[];
}

export interface Content extends EarlierRuns {
  readonly shards: number;
}

interface ServerRow extends Omit<
  DatabaseFacts,
  'pooled' | 'clockAhead' | 'clockError' | 'migrations' | 'missingRights' | 'content'
> {
  readonly pid: number;
  readonly migrated: boolean;
}

const SERVER = sql('doctor/server');
const MISSING_RIGHTS = sql('doctor/missing-rights');
/** Milliseconds to connect, and for each statement. */
const LIMIT = 5_000;
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Looks at a database, and changes nothing: every transaction is READ ONLY.
 *
 * @throws the driver's error when it cannot be reached, or refuses the login
 */
export async function inspectDatabase(url: string): Promise<DatabaseFacts> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'genesis-doctor',
    connectionTimeoutMillis: LIMIT,
    query_timeout: LIMIT,
    // As the services connect: a pooler that does not take start parameters refuses them, too.
    options: '-c default_transaction_read_only=on',
  });
  // A connection that breaks says so here too; the statement under way fails anyway.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await inspect(client);
  } finally {
    await client.end();
  }
}

async function inspect(client: pg.Client): Promise<DatabaseFacts> {
  const [server] = (await client.query<ServerRow>(SERVER)).rows;
  if (server === undefined) throw new Error('the server says nothing of itself');
  const { pid, migrated, ...facts } = server;
  const clock = await compareClocks(client);
  const migrations = migrated ? await readMigrationState(client) : null;
  const { rows: missingRights } = await client.query<MissingRights>(MISSING_RIGHTS);
  // What a pooler tells the client of its session is made up: the process is another one.
  const told: unknown = Reflect.get(client, 'processID');
  return {
    ...facts,
    ...clock,
    pooled: typeof told === 'number' && told !== pid,
    migrations,
    missingRights,
    content: await readContent(client),
  };
}

async function readMigrationState(client: pg.Client): Promise<MigrationState | 'hidden'> {
  try {
    return await judgeMigrations(client);
  } catch (error) {
    if (errorCode(error) === INSUFFICIENT_PRIVILEGE) return 'hidden';
    throw error;
  }
}

async function compareClocks(client: pg.Client): Promise<Pick<DatabaseFacts, 'clockAhead' | 'clockError'>> {
  const sent = Date.now();
  const text = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now';
  const { rows } = await client.query<{ now: number }>(text);
  const answered = Date.now();
  const half = (answered - sent) / 2;
  return { clockAhead: (rows[0]?.now ?? Number.NaN) - (sent + half), clockError: half + 1 };
}

/** Null where the tables are older than this program, or may not be read: something else says so. */
async function readContent(client: pg.Client): Promise<Content | null> {
  try {
    const { rows } = await client.query<{ shards: number }>('SELECT shards FROM genesis_settings');
    const earlier = await readEarlierRuns(async <Row extends object>({ text }: { readonly text: string }) => {
      return (await client.query<Row>(text)).rows;
    });
    const [settings] = rows;
    return settings === undefined ? null : { ...settings, ...earlier };
  } catch {
    return null;
  }
}
