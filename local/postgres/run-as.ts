import { chownSync, statSync } from 'node:fs';
import type { DataFolder } from '../data-folder.ts';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';
import type { Launch, ToolResult } from '../processes.ts';
import { tryTool } from '../processes.ts';
import type { PostgresBinaries } from './binaries.ts';

/** As whom PostgreSQL's programs run. */
export interface RunAs {
  launch(command: string, args: readonly string[]): Launch;
  /** Gives a file or folder that we made to that user. */
  give(path: string): void;
}

interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

// PG* variables of the caller's shell (PGDATA, PGPORT…) are meant for other servers.
function environment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PG')));
}

/**
 * Anybody but root runs PostgreSQL as they are. It refuses to run as root, so root runs it as the cluster's owner,
 * else as `postgres`, else as `nobody`; where that user can't reach the project or the data (both below /root, say),
 * with the one capability that lets it.
 */
export async function runPostgresAs(
  binaries: PostgresBinaries,
  folder: DataFolder,
  signal: AbortSignal,
): Promise<RunAs> {
  const ourselves: RunAs = {
    launch: (command, args) => ({ command, args, env: environment() }),
    give: () => undefined,
  };
  if (process.getuid?.() !== 0) return ourselves;
  const account = ownerOf(folder.postgres) ?? (await accountNamed('postgres')) ?? (await accountNamed('nobody'));
  if (account === undefined) {
    throw new LocalInfrastructureError(
      'PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: run this as an ordinary user.',
    );
  }
  for (const runAs of [asUser(account), asUserWithCapability(account)]) {
    if (await reaches(runAs, binaries, folder, signal)) return runAs;
  }
  throw new LocalInfrastructureError(
    `PostgreSQL refuses to run as root, and the user ${account.name} cannot reach ${binaries.folder} and ${folder.root}: run this as an ordinary user, or move both to where everybody may look.`,
  );
}

/** The owner of a cluster that exists: PostgreSQL insists on it, whoever made it. */
function ownerOf(cluster: string): Account | undefined {
  const found = statSync(cluster, { throwIfNoEntry: false });
  return found === undefined || found.uid === 0
    ? undefined
    : { name: `with id ${found.uid}`, uid: found.uid, gid: found.gid };
}

async function accountNamed(name: string): Promise<Account | undefined> {
  const [uid, gid] = await Promise.all([
    tryTool({ command: 'id', args: ['-u', name] }),
    tryTool({ command: 'id', args: ['-g', name] }),
  ]);
  return uid?.code === 0 && gid?.code === 0 ? { name, uid: Number(uid.output), gid: Number(gid.output) } : undefined;
}

function asUser(account: Account): RunAs {
  return {
    launch: (command, args) => ({ command, args, env: environment(), uid: account.uid, gid: account.gid }),
    give: (path) => chownSync(path, account.uid, account.gid),
  };
}

/**
 * setpriv(1) of util-linux. dac_override goes past the modes of folders above; no_setuid_fixup makes access(2), by
 * which initdb looks for `postgres`, honour it too.
 */
function asUserWithCapability(account: Account): RunAs {
  const options = [
    ...['--reuid', String(account.uid), '--regid', String(account.gid), '--clear-groups'],
    '--securebits=+no_setuid_fixup',
    ...['--inh-caps', '--ambient-caps', '--bounding-set'].map((set) => `${set}=-all,+dac_override`),
  ];
  return {
    launch: (command, args) => ({ command: 'setpriv', args: [...options, command, ...args], env: environment() }),
    give: (path) => chownSync(path, account.uid, account.gid),
  };
}

async function reaches(
  runAs: RunAs,
  binaries: PostgresBinaries,
  folder: DataFolder,
  signal: AbortSignal,
): Promise<boolean> {
  const ended = (result: ToolResult | undefined): boolean => result?.code === 0;
  const [runs, looks] = await Promise.all([
    tryTool(runAs.launch(binaries.postgres, ['--version']), signal),
    tryTool(runAs.launch('test', ['-x', folder.root]), signal),
  ]);
  return ended(runs) && ended(looks);
}
