import { Command } from 'commander';
import { FINDINGS, mendOf } from '../events/findings.ts';
import { rebuild, type RebuildCounts, type RebuildOptions } from '../events/rebuild.ts';
import type { SessionId } from '../genesis/ids.ts';
import { createAuditStore } from '../postgres/audit-store.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { outputOf, type Output } from './output.ts';
import { count, counted, duration, Progress } from './progress.ts';
import { mustExist, parseSessionId } from './session-option.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';

interface RebuildCommandOptions {
  readonly session?: SessionId;
  readonly after?: SessionId;
  readonly dryRun?: true;
  readonly json?: true;
}

const HELP = `
Compares every session with its events; a row that differs is folded anew under its lock, one session per short transaction.
Commands may go on meanwhile, a row that is right is not touched, and Ctrl-C ends it at any time: it says where to go on.
Exit code: 0 done · 1 something could not be rebuilt (each is told, with why), or it was ended before it was done
With --json one line per session {"rebuilt","detail"} or {"code","session_id","meaning","detail","mend"}, then
{"sessions","events","rebuilt","problems","after","dry_run"}`;

/** `genesis rebuild` */
export function rebuildCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('rebuild')
    .description('make genesis_sessions what the events say, while commands go on')
    .option('--session <id>', 'this session only', parseSessionId)
    .option('--after <id>', 'only sessions with a higher id: go on where an earlier run ended', parseSessionId)
    .option('--dry-run', 'tell what would be rebuilt, and write nothing')
    .option('--json', 'lines of JSON')
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
  const report = besideProgress(outputOf(options), progress);
  let last = options.after ?? null;
  const verb = options.dryRun ? 'would rebuild' : 'rebuilt';
  try {
    const counts = await rebuild({
      store,
      sessionId: options.session ?? null,
      after: last,
      dryRun: options.dryRun ?? false,
      onRebuilt: ({ sessionId, detail }) => {
        report.say(`${verb} session ${sessionId}: ${detail}`);
        report.tell({ rebuilt: sessionId, detail });
      },
      onProblem: (problem) => {
        report.say(describe(problem));
        report.tell(factOf(problem));
      },
      onProgress: ({ sessions, events, after }) => {
        last = after;
        progress.update(sessions, `${counted(events, 'event')}${progress.terminal ? '' : ` · up to ${after}`}`);
      },
      signal: interrupted(),
    });
    if (options.session === undefined || counts.sessions > 0) {
      report.say(summary(counts, verb, progress.elapsed));
      report.tell({ ...counts, dry_run: options.dryRun === true });
    }
    return counts;
  } catch (error) {
    progress.clear();
    const where = last === null ? '' : ` --after ${last}`;
    throw new Error(`${messageOf(error)}. To go on: npx genesis rebuild${where}`, { cause: error });
  }
}

function besideProgress({ say, tell }: Output, progress: Progress): Output {
  return {
    say: (text) => {
      progress.clear();
      say(text);
    },
    tell: (fact) => {
      progress.clear();
      tell(fact);
    },
  };
}

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process as ever. */
function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name} before it was done`)));
  }
  return controller.signal;
}

type Problem = Parameters<RebuildOptions['onProblem']>[0];

/** What `verify --json` says of a finding, too. */
export function factOf(problem: Problem) {
  const { code, sessionId } = problem;
  const rest =
    code === 'BUSY'
      ? {
          meaning: 'somebody else keeps it locked',
          detail: '',
          mend: `npx genesis rebuild --session ${sessionId}, later`,
        }
      : { meaning: FINDINGS[code].meaning, detail: problem.detail, mend: mendOf(problem) };
  return { code, session_id: sessionId, ...rest };
}

function describe(problem: Problem): string {
  const { code, session_id: session, meaning, detail, mend } = factOf(problem);
  return `${code}  session ${session}\n  ${meaning}${detail === '' ? '' : `: ${detail}`}\n  → ${mend}`;
}

function summary({ sessions, events, rebuilt, problems }: RebuildCounts, verb: string, elapsed: number): string {
  const failed = problems === 0 ? '' : `, ${count(problems)} could not be`;
  return `${counted(sessions, 'session')} with ${counted(events, 'event')} in ${duration(elapsed)}: ${verb} ${count(rebuilt)}${failed}`;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.$/u, '');
}
