import pg from 'pg';
import { makeDataFolder, recall } from '../local/data-folder.ts';
import { createCluster, type ClusterPlan } from '../local/postgres/cluster.ts';
import { postgresBinaries } from '../local/postgres/binaries.ts';
import { runPostgresAs } from '../local/postgres/run-as.ts';
import { startPostgres } from '../local/postgres/server.ts';
import { choosePort, LOOPBACK } from '../local/ports.ts';
import type { Child } from '../local/processes.ts';

/** A PostgreSQL server that may be killed; data and port outlive it. */
export interface PostgresServer {
  /** postgres://… of a database of that name; it need not exist. */
  url(database: string): string;
  createDatabase(name: string): Promise<string>;
  isRunning(): boolean;
  /** Of the postmaster, whose children are the backends; 0 while it does not run. */
  pid(): number;
  /** SIGQUIT is PostgreSQL's `immediate` stop, SIGINT its `fast` one; SIGKILL leaves the backends to notice. */
  kill(signal: 'SIGQUIT' | 'SIGKILL' | 'SIGINT'): Promise<void>;
  /** After a kill: replays its log. Resolves once it takes connections. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

const END_GRACE = 30_000;

/** Makes a cluster in the folder and starts it, with everything forced to disk as in production. The caller removes the folder. */
export async function startPostgresServer(path: string): Promise<PostgresServer> {
  const signal = new AbortController().signal;
  const folder = makeDataFolder(path);
  const binaries = await postgresBinaries();
  const runAs = await runPostgresAs(binaries, folder, signal);
  const plan: ClusterPlan = { binaries, runAs, folder, durable: true };
  const { postgres } = recall(folder);
  await createCluster(plan, postgres, signal);
  const port = await choosePort({ variable: 'POSTGRES_PORT', use: 'PostgreSQL', taken: new Set() });
  const launch = (): Promise<Child> => startPostgres({ ...plan, port, progress: () => {} }, signal);
  let running: Child | null = await launch();
  const url = (database: string): string =>
    `postgres://${postgres.user}:${postgres.password}@${LOOPBACK}:${port}/${database}`;
  const kill = async (how: NodeJS.Signals): Promise<void> => {
    const child = running;
    if (child === null) throw new Error('PostgreSQL does not run');
    running = null;
    await child.end([
      { signal: how, grace: END_GRACE },
      { signal: 'SIGKILL', grace: END_GRACE },
    ]);
  };
  return {
    url,
    async createDatabase(name) {
      const admin = new pg.Client({ connectionString: url('postgres') });
      await admin.connect();
      try {
        await admin.query(`CREATE DATABASE ${admin.escapeIdentifier(name)}`);
      } finally {
        await admin.end();
      }
      return url(name);
    },
    isRunning: () => running !== null,
    pid: () => running?.pid ?? 0,
    kill,
    async start() {
      if (running !== null) throw new Error('PostgreSQL runs already');
      running = await launch();
    },
    async stop() {
      if (running !== null) await kill('SIGINT');
    },
  };
}
