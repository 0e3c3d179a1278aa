import pg from 'pg';

const DUPLICATE_DATABASE = '42P04';
const UNIQUE_VIOLATION = '23505';

/**
 * Creates the database if it is missing.
 *
 * @param url a superuser's connection to any database of the server, e.g. `postgres`
 * @returns the same URL with `name` as the database
 * @throws pg's error if the server can't be reached or refuses
 */
export async function ensureDatabase(url: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
  } catch (error) {
    // Somebody else was creating it at the same time.
    if (!isDuplicate(error)) throw error;
  } finally {
    await client.end();
  }
  const answer = new URL(url);
  answer.pathname = `/${encodeURIComponent(name)}`;
  return answer.href;
}

function isDuplicate(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code === DUPLICATE_DATABASE || error.code === UNIQUE_VIOLATION);
}
