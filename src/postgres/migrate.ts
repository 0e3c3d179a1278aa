import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { backoffDelay } from '../backoff.ts';
import { errorCode } from './errors.ts';
import { isContract, readMigrations, stepsOf, type Migration } from './migrations.ts';

/** Any number that nothing else on this database uses; whoever starts second waits for the first. */
const MIGRATION_LOCK = 7_203_551_914;
/** Milliseconds between looks at whether the other has ended. */
const LOOK_EVERY = 200;
/** Milliseconds between tries to get a table that somebody has in a long transaction. */
const PAUSE = { first: 500, most: 10_000 };
/** lock_not_available, deadlock_detected: somebody else was in the way, and nothing was done. */
const IN_THE_WAY: readonly (string | undefined)[] = ['55P03', '40P01'];

export interface MigrateOptions {
  /** Called with the name of each migration that was applied. */
  readonly onApplied?: (name: string) => void;
  /** Called when a table is in use and the migration lets the others go first. */
  readonly onWait?: (name: string) => void;
  /**
   * Also applies migrations that take something away from earlier programs. Default false: unless the database is empty, they are left
   * for when no earlier program is at work.
   */
  readonly contract?: boolean;
  readonly folder?: URL;
  /**
   * Milliseconds that a migration may stand in the queue for a table. While it does, everybody who comes after it waits too, commands
   * included: short. Default 1,000.
   */
  readonly lockTimeout?: number;
  /** Milliseconds to wait for another program that migrates, and to try again for a table. Default 600,000. */
  readonly patience?: number;
}

/**
 * Brings the database to the newest schema: each missing migration in a transaction of its own, forward only. It may run beside programs
 * at work, and beside itself: the second waits for the first and finds its work done.
 *
 * @returns Names of migrations that were left because they take something away.
 * @throws Error if a migration that was applied has since been changed, or fails, or does not get its tables in time; it then left
 *   nothing behind (one without a transaction: nothing that its next run does not mend).
 */
export async function migrate(url: string, options: MigrateOptions = {}): Promise<readonly string[]> {
  const { onApplied = () => undefined, patience = 600_000 } = options;
  const migrations = await readMigrations(options.folder);
  const client = new pg.Client({
    connectionString: url,
    application_name: 'genesis-migrate',
    connectionTimeoutMillis: 5_000,
  });
  // A connection that breaks says so here too; the statement under way fails anyway.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await takeLock(client, patience);
    await client.query(`CREATE TABLE IF NOT EXISTS genesis_migrations (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    const applied = await appliedChecksums(client);
    const missing = migrations.filter((migration) => !isApplied(migration, applied));
    const everything = options.contract === true || applied.size === 0;
    const due = missing.filter(({ name }) => everything || !isContract(name));
    for (const migration of due) {
      await applyInTime(client, migration, options);
      onApplied(migration.name);
    }
    return missing.filter((migration) => !due.includes(migration)).map(({ name }) => name);
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
export async function judgeMigrations(client: pg.Client, folder?: URL): Promise<MigrationState> {
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

/**
 * Waits for another program that migrates, but not for ever: one that hangs must be seen. By looking again and again: whoever waited
 * inside a statement would have a snapshot open, and CREATE INDEX CONCURRENTLY of the other waits for those.
 */
async function takeLock(client: pg.Client, patience: number): Promise<void> {
  const deadline = performance.now() + patience;
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [
      MIGRATION_LOCK,
    ]);
    if (rows[0]?.taken === true) return;
    if (performance.now() > deadline)
      throw new Error(
        'another program has been migrating this database for too long: find it in pg_stat_activity (application_name genesis-migrate), end it, and run `npx genesis migrate` again',
      );
    await delay(LOOK_EVERY);
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

/** Tries again while others have the tables: they must not stand behind a migration that stands behind somebody's long transaction. */
async function applyInTime(client: pg.Client, migration: Migration, options: MigrateOptions): Promise<void> {
  const { lockTimeout = 1_000, patience = 600_000, onWait = () => undefined } = options;
  const deadline = performance.now() + patience;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await apply(client, migration, lockTimeout);
      return;
    } catch (error) {
      const { name } = migration;
      const words = error instanceof Error ? error.message : String(error);
      if (!IN_THE_WAY.includes(errorCode(error)))
        throw new Error(`migration ${name} failed and was ${undone(migration)}: ${words}`, { cause: error });
      if (performance.now() > deadline)
        throw new Error(
          `migration ${name} does not get its tables (${words}): find in pg_stat_activity who keeps a transaction open (oldest xact_start), end it, and run \`npx genesis migrate\` again`,
          { cause: error },
        );
      onWait(name);
      await delay(backoffDelay(attempt, PAUSE));
    }
  }
}

function undone({ text }: Migration): string {
  return stepsOf(text).transaction ? 'rolled back' : 'left half done (to run it again makes it whole)';
}

async function apply(client: pg.Client, { name, text, checksum }: Migration, lockTimeout: number): Promise<void> {
  const { transaction, statements } = stepsOf(text);
  const note = () => client.query('INSERT INTO genesis_migrations (name, checksum) VALUES ($1, $2)', [name, checksum]);
  if (!transaction) {
    // What runs outside of a transaction keeps nobody from writing, and may wait for its turn.
    for (const statement of statements) await client.query(statement);
    await note();
    return;
  }
  try {
    await client.query('BEGIN');
    await client.query(`SET LOCAL lock_timeout = '${lockTimeout}ms'`);
    await client.query(text);
    await note();
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
