import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { until } from '../until.ts';
import type { Fault } from './fault.ts';
import type { Stage } from './stage.ts';

const databaseStopped: Fault = {
  about: 'PostgreSQL is stopped',
  alerts: ['GenesisDatabaseUnreachable', 'GenesisCommandsFailing'],
  strike: (stage) => stage.postgres.kill('SIGINT'),
  heal: (stage) => stage.postgres.start(),
};

/** A transaction that stays open, as one does that somebody has forgotten in a terminal. */
class OpenTransaction {
  #client: pg.Client | null = null;

  async begin(stage: Stage, statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: stage.env['DATABASE_URL'] });
    this.#client = client;
    await client.connect();
    await client.query('BEGIN');
    await client.query(statement);
  }

  async end(): Promise<void> {
    await this.#client?.query('ROLLBACK');
    await this.#client?.end();
    this.#client = null;
  }
}

function lockedSessions(): Fault {
  const transaction = new OpenTransaction();
  const over = new AbortController();
  let readers: Promise<void> = Promise.resolve();
  return {
    about: 'somebody holds a lock on genesis_sessions while 30 clients read; POSTGRES_POOL_SIZE is 4',
    alerts: ['GenesisPoolExhausted'],
    async strike(stage) {
      await transaction.begin(stage, 'LOCK TABLE genesis_sessions IN ACCESS EXCLUSIVE MODE');
      readers = stage.clients.flood('sessions', 30, over.signal);
    },
    async heal() {
      await transaction.end();
      over.abort();
      await readers;
    },
  };
}

function lockedLease(): Fault {
  const transaction = new OpenTransaction();
  return {
    about: 'somebody has locked the row of shard 3 in relay_shards (BEGIN; SELECT … FOR UPDATE)',
    alerts: ['GenesisShardWithoutOwner'],
    strike: (stage) => transaction.begin(stage, 'SELECT FROM relay_shards WHERE shard = 3 FOR UPDATE'),
    heal: () => transaction.end(),
  };
}

/** The relay claims and sends; what it has sent it cannot mark. */
function lockedOutbox(): Fault {
  const transaction = new OpenTransaction();
  return {
    about: 'somebody has locked event_outbox (LOCK TABLE … IN SHARE MODE, as CREATE INDEX does)',
    alerts: ['GenesisShardStuck'],
    async strike(stage) {
      await stage.genesis('shards', 'pause', '--all');
      await until('events that wait', async () => {
        const [row] = await stage.query<{ waiting: number }>(
          `SELECT count(DISTINCT shard)::int AS waiting FROM event_outbox WHERE status = 'PENDING'`,
        );
        return (row?.waiting ?? 0) > 3;
      });
      await transaction.begin(stage, 'LOCK TABLE event_outbox IN SHARE MODE');
      await stage.genesis('shards', 'resume', '--all');
    },
    heal: () => transaction.end(),
  };
}

/** The connections of the metrics see another clock from now on; those that renew leases stay as they are. */
async function reconnectMetrics(stage: Stage): Promise<void> {
  await stage.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'genesis-metrics'`,
  );
}

const wrongClock: Fault = {
  about: "the database's clock, as the metrics see it, is 90 s ahead",
  alerts: ['GenesisClockOffset'],
  async strike(stage) {
    await stage.query('CREATE SCHEMA shifted');
    await stage.query(`CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql
      AS $$ SELECT pg_catalog.clock_timestamp() + interval '90 s' $$`);
    await stage.query('ALTER DATABASE alerts SET search_path = shifted, pg_catalog, public');
    await reconnectMetrics(stage);
  },
  async heal(stage) {
    await stage.query('ALTER DATABASE alerts RESET search_path');
    await stage.query('DROP SCHEMA shifted CASCADE');
    await reconnectMetrics(stage);
  },
};

const LESSER = 'lesser';
const RIGHTS = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operations', 'upgrade.md'), 'utf8');
const GRANTS = [...RIGHTS.matchAll(/^(GRANT .+) TO genesis;$/gmu)].map(([, grant = '']) => grant);

/** The services as a user with the rights of docs/operations/upgrade.md, who then loses one. Without it relays lose their shards, too. */
const hiddenMembers: Fault = {
  about: 'the right to read relay_members is revoked',
  alerts: ['GenesisOutboxFiguresMissing'],
  async strike(stage) {
    await stage.query(`CREATE ROLE ${LESSER} LOGIN PASSWORD '${LESSER}'`);
    for (const grant of GRANTS) await stage.query(`${grant} TO ${LESSER}`);
    const url = new URL(stage.env['DATABASE_URL'] ?? '');
    [url.username, url.password] = [LESSER, LESSER];
    await restartServices(stage, { DATABASE_URL: url.href });
    await untilFiguresAreThere(stage);
    await stage.query(`REVOKE SELECT ON relay_members FROM ${LESSER}`);
  },
  async heal(stage) {
    await stage.query(`GRANT SELECT ON relay_members TO ${LESSER}`);
    await untilFiguresAreThere(stage);
    await restartServices(stage);
    await stage.query(`DROP OWNED BY ${LESSER}`);
    await stage.query(`DROP ROLE ${LESSER}`);
  },
};

async function restartServices(stage: Stage, env: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const role of ['api', 'relay'] as const) {
    await stage.stop(role);
    await stage.start(role, { env });
  }
}

async function untilFiguresAreThere(stage: Stage): Promise<void> {
  await until('the figures of the outbox, of each process', async () => {
    return (await stage.prometheus.query('min(genesis_outbox_figures_up) == 1')).length > 0;
  });
}

interface Position {
  readonly shard: number;
  readonly position: string | null;
}

/** As after a restore: the newest session never was, and neither was its place in the topic. */
async function forget(stage: Stage, session: string, positions: readonly Position[]): Promise<void> {
  await stage.withDatabase(async (client) => {
    // Superusers only: the triggers that hold the tables together don't see it.
    await client.query('SET session_replication_role = replica');
    await client.query('DELETE FROM event_outbox WHERE key = $1', [session]);
    await client.query('DELETE FROM domain_events WHERE aggregate_id = $1', [session]);
    await client.query('DELETE FROM command_inbox WHERE session_id = $1', [session]);
    await client.query('DELETE FROM genesis_sessions WHERE session_id = $1', [session]);
    for (const { shard, position } of positions) {
      await client.query('UPDATE relay_shards SET position = $2 WHERE shard = $1', [shard, position]);
    }
  });
}

const restored: Fault = {
  about: 'the database is restored to before the last session',
  alerts: ['GenesisTopicAhead'],
  async strike(stage) {
    await stage.clients.stop();
    await stage.untilPublished();
    const positions = await stage.query<Position>('SELECT shard, position FROM relay_shards');
    const session = await stage.clients.createSession();
    if (session === null) throw new Error('no session could be created');
    await stage.clients.sendFeedback(session, 'brighter');
    await stage.untilPublished();
    await stage.stop('relay');
    await forget(stage, session, positions);
    await stage.start('relay');
  },
  async heal(stage) {
    await stage.genesis('recover', '--from-topic', '--yes');
    await stage.genesis('verify');
    // It may have seen a record whose event was gone, and does not forget.
    await stage.stop('reconcile');
    await stage.start('reconcile');
    // It looks at the whole topic; if something were missing, GenesisStreamBroken would not end.
    await until('the first look', async () => {
      return (await stage.prometheus.query('genesis_reconcile_initial_differences')).length > 0;
    });
    stage.resumeLoad();
  },
};

export const DATABASE_FAULTS: readonly Fault[] = [
  databaseStopped,
  lockedSessions(),
  lockedLease(),
  lockedOutbox(),
  wrongClock,
  hiddenMembers,
  restored,
];
