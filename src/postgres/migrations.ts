import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

const FOLDER = new URL('../../migrations/', import.meta.url);
const FILE_NAME = /^\d{4}_[a-z0-9_]+\.sql$/u;
/**
 * Takes away what an earlier program needs. By its name, because a program must know it of a migration that is newer than itself and
 * whose text it has not got.
 */
const CONTRACT = /^\d{4}_contract_/u;
/** For what PostgreSQL does outside of transactions only: CREATE INDEX CONCURRENTLY, after DROP INDEX CONCURRENTLY IF EXISTS. */
const NO_TRANSACTION = /^-- no transaction\b/mu;

export interface Migration {
  readonly name: string;
  readonly text: string;
  /** SHA-256 of the text, in hex. */
  readonly checksum: string;
}

/** The migrations of this program, in order. */
export async function readMigrations(folder: URL = FOLDER): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => FILE_NAME.test(name)).toSorted();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
    }),
  );
}

/** Whether programs of before it cannot work with what it leaves (docs/operations/upgrade.md). */
export function isContract(name: string): boolean {
  return CONTRACT.test(name);
}

/**
 * The steps of a migration: all of it at once, in a transaction; or, if it says `-- no transaction`, statement by statement, each by
 * itself. Then a line that ends in a semicolon ends a statement, which `checks/migrations.ts` makes sure of.
 */
export function stepsOf(text: string): { readonly transaction: boolean; readonly statements: readonly string[] } {
  if (!NO_TRANSACTION.test(text)) return { transaction: true, statements: [text] };
  const statements = text
    .split(/;[^\S\n]*$/mu)
    .filter((statement) => statement.replaceAll(/^\s*--.*$/gmu, '').trim() !== '');
  return { transaction: false, statements };
}
