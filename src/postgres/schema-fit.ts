import { errorCode } from './errors.ts';
import { isContract, readMigrations } from './migrations.ts';
import type { Read } from './read.ts';

const APPLIED = { name: 'read-migrations', text: 'SELECT name FROM genesis_migrations' };
const CURRENT_USER = { name: 'read-current-user', text: 'SELECT current_user AS name' };
const UNDEFINED_TABLE = '42P01';
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Whether a program that knows the migrations `known` can work on a database that has `applied`: null, or a sentence that says why not
 * and what to do. A database may be newer, unless something was taken away from it since.
 */
export function misfit(known: readonly string[], applied: readonly string[]): string | null {
  const gone = applied.filter((name) => isContract(name) && !known.includes(name));
  if (gone.length > 0) {
    return `the database has left this version behind (${gone.join(', ')}): run a newer one; docs/operations/upgrade.md`;
  }
  const lacking = known.filter((name) => !isContract(name) && !applied.includes(name));
  if (lacking.length === 0) return null;
  return `the database is older than this program (it lacks ${lacking.join(', ')}): run \`npx genesis migrate\` first`;
}

/**
 * @throws Error if this program cannot work with the schema of the database, or may not see it, before it has done anything
 * @throws GenesisError UNAVAILABLE
 */
export async function requireFittingSchema(read: Read): Promise<void> {
  const known = await readMigrations();
  const why = misfit(
    known.map(({ name }) => name),
    await appliedNames(read),
  );
  if (why !== null) throw new Error(why);
}

async function appliedNames(read: Read): Promise<readonly string[]> {
  try {
    return (await read<{ name: string }>(APPLIED, [])).map(({ name }) => name);
  } catch (error) {
    const code = errorCode(error);
    if (code === UNDEFINED_TABLE)
      throw new Error('the database has no Genesis tables: run `npx genesis migrate` first', { cause: error });
    if (code === INSUFFICIENT_PRIVILEGE) throw new Error(await mayNotRead(read), { cause: error });
    throw error;
  }
}

async function mayNotRead(read: Read): Promise<string> {
  const [user] = await read<{ name: string }>(CURRENT_USER, []);
  return (
    `the database's user ${user?.name} may not read genesis_migrations: as the owner of the tables, GRANT SELECT ON genesis_migrations ` +
    `TO "${user?.name}"; \`npx genesis doctor\` tells what else it lacks, docs/operations/upgrade.md all that it needs`
  );
}
