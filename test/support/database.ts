import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { migrate } from '../../src/postgres/migrate.ts';

const TEMPLATE = 'genesis_test_template';
/** Whoever comes first makes the template; the others wait. */
const TEMPLATE_LOCK = 5_519_000_001;

export interface TestDatabase {
  /** postgres://… of a database of its own, with all migrations applied. */
  readonly url: string;
  drop(): Promise<void>;
}

/** A new database, cloned from a migrated template: a few milliseconds. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `genesis_test_${randomBytes(6).toString('hex')}`;
  await asAdmin(async (admin) => {
    await admin.query('SELECT pg_advisory_lock($1)', [TEMPLATE_LOCK]);
    await ensureTemplate(admin);
    await admin.query(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  });
  return {
    url: urlOf(name),
    drop: () => asAdmin(async (admin) => void (await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

/** A new database without tables. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const name = `genesis_test_${randomBytes(6).toString('hex')}`;
  await asAdmin(async (admin) => void (await admin.query(`CREATE DATABASE ${name}`)));
  return {
    url: urlOf(name),
    drop: () => asAdmin(async (admin) => void (await admin.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

async function ensureTemplate(admin: pg.Client): Promise<void> {
  const { rowCount } = await admin.query('SELECT 1 FROM pg_database WHERE datname = $1', [TEMPLATE]);
  if (rowCount === 0) {
    await admin.query(`CREATE DATABASE ${TEMPLATE}`);
  }
  await migrate(urlOf(TEMPLATE), { contract: true });
}

async function asAdmin<Result>(use: (admin: pg.Client) => Promise<Result>): Promise<Result> {
  const admin = new pg.Client({ connectionString: inject('postgresUrl') });
  await admin.connect();
  try {
    return await use(admin);
  } finally {
    await admin.end();
  }
}

function urlOf(database: string): string {
  const url = new URL(inject('postgresUrl'));
  url.pathname = `/${database}`;
  return url.href;
}
