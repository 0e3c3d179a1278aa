import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';

const FOLDER = new URL('../../migrations/', import.meta.url);
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/u;
/** Any number that nothing else on this database uses; whoever starts second waits for the first. */
const MIGRATION_LOCK = 7_203_551_914;

/** Milliseconds to wait for another program that migrates: longer than any migration should take. */
const LOCK_TIMEOUT_MS = 600_000;

interface Migration {
  readonly name: string;
  readonly text: string;
  /** SHA-256 of the text, in hex. */
  readonly checksum: string;
}

/** The migrations of this program, in order. */
async function readMigrations(folder: URL = FOLDER): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => FILE_NAME.test(name)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

/**
 * Brings the database to the newest schema: each missing migration in a transaction of its own, forward only. Two programs
 * that start at once are safe: the second waits for the first and finds its work done.
 *
 * @param onApplied Called with the name of each migration that was applied.
 * @throws Error if a migration that was applied has since been changed, or fails; it then left nothing behind.
 */
export async function migrate(
  url: string,
  onApplied: (name: string) => void = () => undefined,
  folder: URL = FOLDER,
): Promise<void> {
  const migrations = await readMigrations(folder);
  const client = new pg.Client({
    connectionString: url,
    application_name: 'genesis-migrate',
    connectionTimeoutMillis: 5_000,
  });
  // A connection that breaks says so here too; the statement under way fails anyway.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await takeLock(client);
    await client.query(`CREATE TABLE IF NOT EXISTS genesis_migrations (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    const applied = await appliedChecksums(client);
    for (const migration of migrations) {
      if (isApplied(migration, applied)) continue;
      await apply(client, migration);
      onApplied(migration.name);
    }
  } finally {
    await client.end();
  }
}

/** How the schema of a database stands to this program. */
export interface MigrationState {
  readonly applied: number;
  /** Not applied yet. */
  readonly pending: readonly string[];
  /** Applied, but not known here: the database is newer than this program. */
  readonly unknown: readonly string[];
  /** Applied with another text. */
  readonly changed: readonly string[];
}

/** Reads only. The table of migrations must be there. */
export async function judgeMigrations(client: pg.Client, folder: URL = FOLDER): Promise<MigrationState> {
  const migrations = await readMigrations(folder);
  const applied = await appliedChecksums(client);
  const known = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  const names = [...applied.keys()];
  return {
    applied: applied.size,
    pending: [...known.keys()].filter((name) => !applied.has(name)),
    unknown: names.filter((name) => !known.has(name)).toSorted(),
    changed: names.filter((name) => known.has(name) && known.get(name) !== applied.get(name)),
  };
}

/** Waits for another program that migrates, but not for ever: one that hangs must be seen. */
async function takeLock(client: pg.Client): Promise<void> {
  try {
    await client.query(`SET lock_timeout = '${LOCK_TIMEOUT_MS}ms'`);
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query('RESET lock_timeout');
  } catch (error) {
    throw new Error(
      'another program has been migrating this database for too long: find it in pg_stat_activity (application_name genesis-migrate), end it, and run `npx genesis migrate` again',
      { cause: error },
    );
  }
}

async function appliedChecksums(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; checksum: string }>(
    'SELECT name, checksum FROM genesis_migrations',
  );
  return new Map(rows.map((row) => [row.name, row.checksum]));
}

function isApplied({ name, checksum }: Migration, applied: ReadonlyMap<string, string>): boolean {
  const known = applied.get(name);
  if (known !== undefined && known !== checksum) {
    throw new Error(
      `migration ${name} was changed after it had been applied: restore its text and add a new migration instead`,
    );
  }
  return known !== undefined;
}

async function apply(client: pg.Client, { name, text, checksum }: Migration): Promise<void> {
  try {
    await client.query('BEGIN');
    await client.query(text);
    await client.query('INSERT INTO genesis_migrations (name, checksum) VALUES ($1, $2)', [name, checksum]);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw new Error(
      `migration ${name} failed and was rolled back: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
