import { readFileSync, renameSync, rmSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DataFolder, Remembered } from '../data-folder.ts';
import { exists } from '../data-folder.ts';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import { lastLines, runTool } from '../processes.ts';
import type { PostgresBinaries } from './binaries.ts';
import type { RunAs } from './run-as.ts';

export interface ClusterPlan {
  readonly binaries: PostgresBinaries;
  readonly runAs: RunAs;
  readonly folder: DataFolder;
  /** False: nothing is forced to disk. */
  readonly durable: boolean;
}

/** Throws the sentence if the binaries don't run here, or can't read the cluster that is there. */
export async function checkCluster(
  { binaries, runAs, folder }: Omit<ClusterPlan, 'durable'>,
  signal: AbortSignal,
): Promise<void> {
  const { output, code } = await runTool(runAs.launch(binaries.postgres, ['--version']), signal);
  const major = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
  if (code !== 0 || major === undefined) {
    throw new LocalInfrastructureError(
      `PostgreSQL's binaries do not run on this system (${lastLines(output, 1)}): set DATABASE_URL and KAFKA_BROKERS to use servers of your own.`,
    );
  }
  if (!exists(folder.postgres)) return;
  const stored = readFileSync(join(folder.postgres, 'PG_VERSION'), 'utf8').trim();
  if (stored !== major) {
    throw new LocalInfrastructureError(
      `${folder.postgres} was made by PostgreSQL ${stored} and this is ${major}: move the data over with pg_dump, or delete ${folder.root} to begin anew.`,
    );
  }
}

/** Makes the cluster beside its place and moves it there when it is whole. */
export async function createCluster(
  { binaries, runAs, folder, durable }: ClusterPlan,
  { user, password }: Remembered['postgres'],
  signal: AbortSignal,
): Promise<void> {
  const cluster = `${folder.postgres}.new`;
  const passwordFile = `${folder.postgres}.password`;
  rmSync(cluster, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  try {
    mkdirSync(cluster, { mode: 0o700 });
    runAs.give(cluster);
    writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
    runAs.give(passwordFile);
    const { code, output } = await runTool(
      runAs.launch(binaries.initdb, [
        ...['-D', cluster, '--username', user, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
        // PostgreSQL's own C.UTF-8: the same order on every system, whichever locales it has.
        ...['--encoding', 'UTF8', '--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
        ...(durable ? [] : ['--no-sync']),
      ]),
      signal,
    );
    if (code !== 0) throw initdbFailed(folder, output);
    renameSync(cluster, folder.postgres);
  } finally {
    rmSync(passwordFile, { force: true });
    rmSync(cluster, { recursive: true, force: true });
  }
}

function initdbFailed(folder: DataFolder, output: string): LocalInfrastructureError {
  return output.includes('No space left on device')
    ? new LocalInfrastructureError(`No space is left on the disk that holds ${folder.root}: free some and start again.`)
    : new LocalInfrastructureError(`initdb could not create ${folder.postgres}:\n${lastLines(output, 5)}`);
}
