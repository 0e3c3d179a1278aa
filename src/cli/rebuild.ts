import { Command } from 'commander';
import { FINDINGS, mendOf } from '../events/findings.ts';
import { rebuild, type RebuildCounts, type RebuildOptions } from '../events/rebuild.ts';
import type { SessionId } from '../genesis/ids.ts';
import { createAuditStore } from '../postgres/audit-store.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { count, counted, duration, Progress } from './progress.ts';
import { mustExist, parseSessionId } from './session-option.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';

interface RebuildCommandOptions {
  readonly session?: SessionId;
  readonly after?: SessionId;
  readonly dryRun?: true;
}

const HELP = `
Compares every session with its events; a row that differs is folded anew under its lock, one session per short transaction.
Commands may go on meanwhile, a row that is right is not touched, and Ctrl-C ends it at any time: it says where to go on.
Exit code: 0 done · 1 something could not be rebuilt (each is told, with why), or it was ended before it was done`;

/** `genesis rebuild` */
export function rebuildCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('rebuild')
    .description('make genesis_sessions what the events say, while commands go on')
    .option('--session <id>', 'this session only', parseSessionId)
    .option('--after <id>', 'only sessions with a higher id: go on where an earlier run ended', parseSessionId)
    .option('--dry-run', 'tell what would be rebuilt, and write nothing')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}`)
    .action(async (options: RebuildCommandOptions) => {
      const { sessions, problems } = await withDatabase(env, 'genesis-rebuild', async (pool) => {
        // Says so if the database was never migrated.
        await readSettings(createRead(pool, 10_000));
        return run(options, createAuditStore(pool));
      });
      mustExist(options.session, sessions);
      if (problems > 0) process.exitCode = 1;
    });
}

async function run(options: RebuildCommandOptions, store: RebuildOptions['store']): Promise<RebuildCounts> {
  const total = options.session === undefined ? await store.countSessions() : 1;
  const progress = new Progress({ stream: process.stderr, total, unit: 'session', now: () => performance.now() });
  const say = (text: string) => {
    progress.clear();
    console.log(text);
  };
  let last = options.after ?? null;
  const verb = options.dryRun ? 'would rebuild' : 'rebuilt';
  try {
    const counts = await rebuild({
      store,
      sessionId: options.session ?? null,
      after: last,
      dryRun: options.dryRun ?? false,
      onRebuilt: ({ sessionId, detail }) => say(`${verb} session ${sessionId}: ${detail}`),
      onProblem: (problem) => say(describe(problem)),
      onProgress: ({ sessions, events, after }) => {
        last = after;
        progress.update(sessions, `${counted(events, 'event')}${progress.terminal ? '' : ` · up to ${after}`}`);
      },
      signal: interrupted(),
    });
    if (options.session === undefined || counts.sessions > 0) say(summary(counts, verb, progress.elapsed));
    return counts;
  } catch (error) {
    progress.clear();
    const where = last === null ? '' : ` --after ${last}`;
    throw new Error(`${messageOf(error)}. To go on: npx genesis rebuild${where}`, { cause: error });
  }
}

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process as ever. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name} before it was done`)));
  }
  return controller.signal;
}

function describe(problem: Parameters<RebuildOptions['onProblem']>[0]): string {
  if (problem.code === 'BUSY') {
    return `BUSY  session ${problem.sessionId}\n  somebody else keeps it locked\n  → npx genesis rebuild --session ${problem.sessionId}, later`;
  }
  return `${problem.code}  session ${problem.sessionId}\n  ${FINDINGS[problem.code].meaning}: ${problem.detail}\n  → ${mendOf(problem)}`;
}

function summary({ sessions, events, rebuilt, problems }: RebuildCounts, verb: string, elapsed: number): string {
  const failed = problems === 0 ? '' : `, ${count(problems)} could not be`;
  return `${counted(sessions, 'session')} with ${counted(events, 'event')} in ${duration(elapsed)}: ${verb} ${count(rebuilt)}${failed}`;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/u, '');
}
