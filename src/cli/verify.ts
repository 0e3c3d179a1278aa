import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config.ts';
import { FINDINGS, mendOf, type Finding } from '../events/findings.ts';
import { verify, type VerifyCounts } from '../events/verify.ts';
import type { SessionId } from '../genesis/ids.ts';
import { encodeEnvelope, recordHeaders } from '../outbox/envelope.ts';
import { shardOf } from '../outbox/shard.ts';
import { createAuditStore } from '../postgres/audit-store.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { counted, duration, Progress } from './progress.ts';
import { mustExist, parseSessionId } from './session-option.ts';
import { WHICH_DATABASE, withDatabase } from './with-database.ts';

interface VerifyCommandOptions {
  readonly session?: SessionId;
  readonly retentionDays?: number;
  readonly json?: true;
}

const HELP = `
Checks that versions have no gap, that genesis_sessions is what the events say, that every event is in the outbox as it must be,
and that commands and events belong together. Reads only; commands may go on.
The clean-up removes published rows after OUTBOX_RETENTION: set it here as for the relays, or say --retention-days. The report says which
retention was assumed; a row that is missing sooner is told as OUTBOX_MISSING.
Exit code: 0 everything agrees · 1 it does not (each difference is told, with what to do), or it could not be checked
With --json one line per difference {"code","session_id","meaning","detail","mend"}, then
{"sessions","events","differences","retention":{"seconds","from"}}; seconds is null where published rows stay for ever.`;

const DAY = 86_400_000;

/** For how long published rows are taken to stay, and who said so. */
interface Assumed {
  /** Milliseconds; null: for ever. */
  readonly retention: number | null;
  readonly from: '--retention-days' | 'OUTBOX_RETENTION' | 'default';
}

/** `genesis verify` */
export function verifyCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('verify')
    .description('prove that the tables agree: sessions are what their events say, and the outbox is complete')
    .option('--session <id>', 'this session only', parseSessionId)
    .option(
      '--retention-days <days>',
      'published outbox rows are kept for at least so long; default OUTBOX_RETENTION',
      parseDays,
    )
    .option('--json', 'one line of JSON per difference, and one at the end')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}`)
    .action(async (options: VerifyCommandOptions) => {
      const assumed = assumedRetention(env, options.retentionDays);
      const { findings } = await withDatabase(env, 'genesis-verify', async (pool) => {
        const store = createAuditStore(pool);
        const { shards } = await readSettings(createRead(pool, 10_000));
        const wire = { value: encodeEnvelope, headers: recordHeaders, shard: (id: SessionId) => shardOf(id, shards) };
        return run(options, assumed, { store, wire });
      });
      if (findings > 0) process.exitCode = 1;
    });
}

type Sources = Pick<Parameters<typeof verify>[0], 'store' | 'wire'>;

function assumedRetention(env: Readonly<Record<string, string | undefined>>, days: number | undefined): Assumed {
  if (days !== undefined) return { retention: days * DAY, from: '--retention-days' };
  const { retention } = loadConfig(env, 'tool').outbox;
  return { retention, from: (env['OUTBOX_RETENTION'] ?? '') === '' ? 'default' : 'OUTBOX_RETENTION' };
}

async function run({ session, json }: VerifyCommandOptions, assumed: Assumed, sources: Sources): Promise<VerifyCounts> {
  const total = session === undefined ? await sources.store.countSessions() : 1;
  const progress = new Progress({ stream: process.stderr, total, unit: 'session', now: () => performance.now() });
  const counts = await verify({
    ...sources,
    retention: assumed.retention ?? Infinity,
    sessionId: session ?? null,
    onFinding: (finding) => {
      progress.clear();
      console.log(json ? asJson(finding) : asText(finding));
    },
    onProgress: ({ sessions, events }) => progress.update(sessions, counted(events, 'event')),
  });
  progress.clear();
  mustExist(session, counts.sessions);
  console.log(json ? summaryAsJson(counts, assumed) : summaryAsText(counts, assumed, progress.elapsed));
  return counts;
}

function asJson(finding: Finding): string {
  const { code, sessionId, detail } = finding;
  return JSON.stringify({
    code,
    session_id: sessionId,
    meaning: FINDINGS[code].meaning,
    detail,
    mend: mendOf(finding),
  });
}

function asText(finding: Finding): string {
  const { code, sessionId, detail } = finding;
  return `${code}  session ${sessionId}\n  ${FINDINGS[code].meaning}: ${detail}\n  → ${mendOf(finding)}`;
}

function summaryAsJson({ sessions, events, findings }: VerifyCounts, { retention, from }: Assumed): string {
  const seconds = retention === null ? null : retention / 1_000;
  return JSON.stringify({ sessions, events, differences: findings, retention: { seconds, from } });
}

function summaryAsText({ sessions, events, findings }: VerifyCounts, assumed: Assumed, elapsed: number): string {
  const differences = findings === 0 ? 'everything agrees' : counted(findings, 'difference');
  const verdict = `${counted(sessions, 'session')} with ${counted(events, 'event')} in ${duration(elapsed)}: ${differences}`;
  return `${assumedText(assumed)}\n${verdict}`;
}

/** 7 days, 36 hours, 90 seconds: the largest unit that leaves no rest. */
function assumedText({ retention, from }: Assumed): string {
  const [size, unit] = UNITS.find(([milliseconds]) => (retention ?? 0) % milliseconds === 0) ?? SECONDS;
  const kept = retention === null ? 'are never cleaned up' : `stay for ${counted(retention / size, unit)}`;
  return `assumed: published outbox rows ${kept} (${from === 'default' ? 'the default of OUTBOX_RETENTION' : from})`;
}

const SECONDS = [1_000, 'second'] as const;
const UNITS = [[DAY, 'day'], [3_600_000, 'hour'], [60_000, 'minute'], SECONDS] as const;

function parseDays(value: string): number {
  const days = Number(value);
  if (value.trim() === '' || !(days >= 0)) throw new InvalidArgumentError('It must be a number of days, 0 or more.');
  return days;
}
