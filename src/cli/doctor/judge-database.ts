import { errorCode } from '../../postgres/errors.ts';
import type { DatabaseFacts, MissingRights } from '../../postgres/inspect-database.ts';
import { isContract } from '../../postgres/migrations.ts';
import { counted } from '../progress.ts';
import { saysOf, type Check } from './check.ts';

const says = saysOf('database');

/** Tested with 18, and once, by the same tests, with 15.18 (docs/operations/upgrade.md). */
const OLDEST = 150_000;
const TESTED = 180_000;
/** Milliseconds that clocks may differ before anybody should look. */
const CLOCK = 1_000;
/**
 * Connections of one API besides its pool (metrics, a lost COMMIT), and of one relay (its five, metrics, its start):
 * docs/operations/capacity.md.
 */
const BESIDE_THE_POOL = 3;
const OF_A_RELAY = 8;

const CONNECT: Readonly<Record<string, readonly [what: string, todo: string]>> = {
  '28P01': [
    'refuses the password',
    'set the right user and password in DATABASE_URL, or POSTGRES_USER and POSTGRES_PASSWORD',
  ],
  '28000': ['refuses this user', 'see pg_hba.conf of the server, and whether it wants TLS (sslmode in DATABASE_URL)'],
  '3D000': ['has no such database', 'create it, or name another in DATABASE_URL (POSTGRES_DB)'],
  '53300': ['has no connection left', 'raise max_connections, or run fewer processes with smaller POSTGRES_POOL_SIZE'],
  '08P01': [
    'does not take our start parameters',
    'is it PgBouncer? Give the address of PostgreSQL itself: relays need direct connections',
  ],
  ECONNREFUSED: [
    'cannot be reached: nobody listens there',
    'start it, or mend host and port in DATABASE_URL (POSTGRES_HOST, POSTGRES_PORT)',
  ],
  ENOTFOUND: ['cannot be reached: there is no such host', 'mend the host in DATABASE_URL (POSTGRES_HOST)'],
};

/** A connection that was not made. @param place Without a password. */
export function judgeNoDatabase(error: unknown, place: string): Check {
  const words = error instanceof Error ? error.message : String(error);
  const [what, todo] = CONNECT[errorCode(error) ?? ''] ?? [
    'cannot be reached',
    'see that it runs, and that this machine may reach it',
  ];
  return says.fail('reachable', `${place} ${what}${words === '' ? '' : ` (${words})`}`, todo);
}

/** @param poolSize Most connections of a process with an API. @param place Without a password. */
export function judgeDatabase(facts: DatabaseFacts, place: string, poolSize: number): readonly Check[] {
  return [
    says.ok('reachable', `${place} as ${facts.user}${facts.superuser ? ', a superuser' : ''}`),
    judgeVersion(facts),
    judgeSchema(facts),
    judgeRights(facts),
    judgePooler(facts),
    ...judgeDurability(facts),
    judgeStandbys(facts),
    judgeConnections(facts, poolSize),
    judgeClock(facts),
    ...judgeKind(facts),
  ];
}

function judgeVersion({ version, versionText }: DatabaseFacts): Check {
  const name = `PostgreSQL ${versionText}`;
  if (version < OLDEST)
    return says.fail('version', `${name}: nothing before 15 was ever tried`, 'move to PostgreSQL 18');
  if (version >= TESTED) return says.ok('version', name);
  return says.warn(
    'version',
    `${name}: each change is tested with 18, older ones were tried once with 15 only`,
    'move to PostgreSQL 18, or run the tests with yours (TEST_DATABASE_URL)',
  );
}

function judgeSchema({ migrations, content }: DatabaseFacts): Check {
  if (migrations === null) return says.fail('migrations', 'none was ever applied', 'npx genesis migrate');
  if (migrations === 'hidden') {
    return says.fail(
      'migrations',
      'genesis_migrations may not be read by this user',
      'grant what the rights below say',
    );
  }
  const { applied, pending, unknown, changed } = migrations;
  if (changed.length > 0) {
    return says.fail(
      'migrations',
      `changed after they had been applied: ${changed.join(', ')}`,
      'restore their texts, and add a new one instead',
    );
  }
  const misfit = judgeFit(pending, unknown);
  if (misfit !== null) return misfit;
  if (content === null)
    return says.fail(
      'migrations',
      `${applied} applied, but genesis_settings cannot be read`,
      'see the rights below; if it has no row, restore the one that the first migration wrote',
    );
  return says.ok('migrations', `all ${applied} applied; ${counted(content.shards, 'shard')}`);
}

/** Newer and older programs may stand beside each other while one takes the other's place: docs/operations/upgrade.md. */
function judgeFit(pending: readonly string[], unknown: readonly string[]): Check | null {
  const [missing, gone] = [pending.filter((name) => !isContract(name)), unknown.filter(isContract)];
  if (gone.length > 0) {
    const detail = `the database has left this version behind: ${gone.join(', ')}`;
    return says.fail('migrations', detail, 'run the version that applied them, or a newer one');
  }
  if (missing.length > 0) return says.fail('migrations', `pending: ${missing.join(', ')}`, 'npx genesis migrate');
  if (unknown.length > 0) {
    const detail = `the database is newer than this program: ${unknown.join(', ')}`;
    return says.warn('migrations', detail, 'move this program to the version that applied them');
  }
  if (pending.length === 0) return null;
  return says.warn(
    'migrations',
    `left until no earlier version is at work: ${pending.join(', ')}`,
    'once that is so: npx genesis migrate --contract',
  );
}

function judgeRights({ missingRights, user, migrations }: DatabaseFacts): Check {
  if (migrations === null) return says.skip('rights', 'there are no tables yet');
  if (missingRights.length === 0) return says.ok('rights', 'all that services need; to be a superuser is not among it');
  const lacks = missingRights.map(({ relation, rights }) => `${relation}: ${rights.join(', ')}`);
  const grants = missingRights.map((missing) => grantOf(missing, user));
  return says.fail('rights', `${user} lacks ${lacks.join('; ')}`, `as the owner of the tables: ${grants.join(' ')}`);
}

function grantOf({ relation, sequence, rights }: MissingRights, user: string): string {
  return `GRANT ${rights.join(', ')} ON ${sequence ? 'SEQUENCE ' : ''}${relation} TO "${user.replaceAll('"', '""')}";`;
}

function judgePooler({ pooled }: DatabaseFacts): Check {
  if (!pooled) return says.ok('direct', 'no pooler between');
  return says.fail(
    'direct',
    'a pooler (PgBouncer or the like) stands between: LISTEN and the locks by which relays see each other need sessions of their own',
    'give the address of PostgreSQL itself in DATABASE_URL',
  );
}

function judgeDurability({ synchronousCommit, fsync, fullPageWrites, autovacuum }: DatabaseFacts): readonly Check[] {
  const losing = [
    ...(synchronousCommit === 'off' ? ['synchronous_commit=off'] : []),
    ...(fsync ? [] : ['fsync=off']),
    ...(fullPageWrites ? [] : ['full_page_writes=off']),
  ];
  const durable =
    losing.length === 0
      ? says.ok('durability', `synchronous_commit=${synchronousCommit}, fsync=on, full_page_writes=on`)
      : says.fail(
          'durability',
          `${losing.join(', ')}: a crash loses answered commands`,
          'turn on, and see that no ALTER ROLE or ALTER DATABASE sets it off',
        );
  if (autovacuum) return [durable];
  return [durable, says.warn('autovacuum', 'off: event_outbox grows without bound', 'turn autovacuum on')];
}

function judgeStandbys({ standbys, synchronousStandbys, synchronousCommit }: DatabaseFacts): Check {
  if (standbys === 0) return says.ok('standbys', 'none is seen');
  const waits = synchronousStandbys !== '' && synchronousCommit !== 'local';
  if (waits) return says.ok('standbys', `${counted(standbys, 'standby')}, synchronous: ${synchronousStandbys}`);
  const detail = `${standbys} seen, and no commit waits for one: a failover loses what was answered last, and the topic is then ahead`;
  return says.warn(
    'standbys',
    detail,
    'if they take over one day, set synchronous_standby_names (docs/operations/recover.md tells what a failover means else)',
  );
}

function judgeConnections(facts: DatabaseFacts, poolSize: number): Check {
  const limits = [
    [facts.mostConnections, facts.usedConnections, 'the server'],
    [facts.userLimit, facts.usedByUser, 'this user'],
    [facts.databaseLimit, facts.usedInDatabase, 'this database'],
  ] as const;
  const set = limits.filter(([most]) => most >= 0);
  const free = Math.min(...set.map(([most, used]) => most - used));
  const ofAnApi = poolSize + BESIDE_THE_POOL;
  const needed = ofAnApi + OF_A_RELAY;
  const [most = 0, used = 0, whose = ''] = set.find(([limit, taken]) => limit - taken === free) ?? [];
  const detail = `${used} of ${most} of ${whose} in use; one more API takes up to ${ofAnApi}, one more relay up to ${OF_A_RELAY}`;
  if (free >= needed) return says.ok('connections', detail);
  return says.warn(
    'connections',
    detail,
    'raise max_connections (or the limit of the user or database), or lower POSTGRES_POOL_SIZE',
  );
}

function judgeClock({ clockAhead, clockError }: DatabaseFacts): Check {
  const seconds = (Math.abs(clockAhead) / 1_000).toFixed(clockError > 100 ? 1 : 2);
  const detail = `the database's is ${seconds} s ${clockAhead < 0 ? 'behind' : 'ahead of'} this machine's, to within ${Math.ceil(clockError)} ms`;
  if (Math.abs(clockAhead) - clockError <= CLOCK) return says.ok('clocks', detail);
  return says.warn('clocks', detail, 'let both follow NTP: times of tokens and of events are told by different clocks');
}

function judgeKind({ encoding, standby }: DatabaseFacts): readonly Check[] {
  const checks: Check[] = [];
  if (encoding !== 'UTF8') {
    checks.push(says.fail('encoding', `${encoding} cannot hold every text`, 'create the database with ENCODING UTF8'));
  }
  if (standby)
    checks.push(says.fail('standby', 'this is a standby: nothing can be written', 'give the address of the primary'));
  return checks;
}
