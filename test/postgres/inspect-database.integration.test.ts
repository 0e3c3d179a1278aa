import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { startPostgresServer, type PostgresServer } from '../../faults/postgres-server.ts';
import { inspectDatabase } from '../../src/postgres/inspect-database.ts';

const NAME = 'inspected';

// A server of its own: what is counted here belongs to nobody else.
describe('what a user without any right sees of a server', { timeout: 60_000 }, () => {
  let folder: string;
  let server: PostgresServer;
  let admin: string;
  let stranger: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'genesis-inspect-'));
    server = await startPostgresServer(folder);
    admin = await server.createDatabase(NAME);
    await asAdmin(`CREATE ROLE stranger LOGIN PASSWORD 'p'`);
    const url = new URL(admin);
    [url.username, url.password] = ['stranger', 'p'];
    stranger = url.href;
  }, 60_000);
  afterAll(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function asAdmin(...statements: readonly string[]): Promise<void> {
    const client = new pg.Client({ connectionString: admin });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  }

  /** Open until the test ends. */
  async function connect(options: { readonly application_name?: string; readonly replication?: string } = {}) {
    const config = { connectionString: admin, ...options };
    const client = new pg.Client(config);
    client.on('error', () => undefined);
    await client.connect();
    onTestFinished(() => client.end());
  }

  it('counts the connections of others', async () => {
    await Promise.all([connect(), connect(), connect()]);
    // Besides these its own.
    expect(await inspectDatabase(stranger)).toMatchObject({ usedConnections: 4, usedInDatabase: 4, usedByUser: 1 });
  });

  it('knows how many are reserved for others', async () => {
    expect(await inspectDatabase(stranger)).toMatchObject({ mostConnections: 197 });
    await asAdmin('ALTER SYSTEM SET reserved_connections = 7');
    await server.kill('SIGINT');
    await server.start();
    expect(await inspectDatabase(stranger)).toMatchObject({ mostConnections: 190 });
    await asAdmin('GRANT pg_use_reserved_connections TO stranger');
    expect(await inspectDatabase(stranger)).toMatchObject({ mostConnections: 197 });
  });

  it('takes no copy, no archive and no logical replication for a standby', async () => {
    const wal = { replication: 'true' };
    await connect({ ...wal, application_name: 'pg_receivewal' });
    await connect({ ...wal, application_name: 'pg_basebackup' });
    await connect({ replication: 'database', application_name: 'debezium' });
    expect(await inspectDatabase(stranger)).toMatchObject({ standbys: 0 });
    await connect({ ...wal, application_name: 'walreceiver' });
    expect(await inspectDatabase(stranger)).toMatchObject({ standbys: 1 });
    expect(await inspectDatabase(admin)).toMatchObject({ standbys: 1 });
  });
});
