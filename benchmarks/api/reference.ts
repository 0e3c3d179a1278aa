import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { percentile } from '../../faults/percentile.ts';
import { oneStatementScript, textbookScript, type RowTexts } from '../textbook/script.ts';
import { cpuOfEndedPrograms, cpuOfFamily, countChildren } from './cpu.ts';
import { runProgram } from './run-program.ts';

/** pgbench with the transactions that the API is compared with. */
export interface Reference {
  run(script: 'textbook' | 'one-statement', connections: number, seconds: number): Promise<ReferenceFigures>;
  /** The textbook transaction, so many times per second, whenever the last ones end. */
  runAtRate(rate: number, connections: number, seconds: number): Promise<ReferenceLatency>;
}

/** Milliseconds, from when a transaction was due. */
export interface ReferenceLatency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface ReferenceFigures {
  readonly perSecond: number;
  /** Of one transaction on average, in milliseconds. */
  readonly latency: number;
  /** Microseconds of CPU for each transaction. */
  readonly cpu: { readonly postgres: number; readonly load: number };
}

/** More than any session has commands in one run. */
const VERSIONS_PER_RUN = 1_000_000;

interface Target {
  readonly url: string;
  /** Process id of the server. */
  readonly postmaster: number;
}

/**
 * @param source A database in which commands have been stored: the reference writes as long texts as they left.
 * @param target A migrated database.
 */
export async function createReference(source: string, target: Target, folder: string): Promise<Reference> {
  const texts = await textsOfACommand(source);
  const files = { textbook: join(folder, 'textbook.sql'), 'one-statement': join(folder, 'one-statement.sql') };
  writeFileSync(files.textbook, textbookScript(texts));
  writeFileSync(files['one-statement'], oneStatementScript(texts));
  const { hostname, port, username, password, pathname } = new URL(target.url);
  const connection = `host=${hostname} port=${port} user=${username} password=${password} dbname=${pathname.slice(1)}`;
  const spent = () => ({ postgres: cpuOfFamily(target.postmaster), load: cpuOfEndedPrograms() });
  let runs = 0;
  const pgbench = (script: keyof typeof files, connections: number, seconds: number, ...more: readonly string[]) => {
    const start = runs * VERSIONS_PER_RUN;
    runs += 1;
    const threads = Math.min(2, connections);
    const flags = ['-n', '-M', 'prepared', '-D', `n=${start}`, '-c', connections, '-j', threads, '-T', seconds];
    return runProgram('pgbench', [...flags.map(String), ...more, '-f', files[script], connection]);
  };
  return {
    async run(script, connections, seconds) {
      const before = spent();
      const others = countChildren(target.postmaster);
      const output = await pgbench(script, connections, seconds);
      await untilWaitedFor(target.postmaster, others);
      const figure = (pattern: RegExp): number => Number(pattern.exec(output)?.[1]);
      const perSecond = figure(/tps = ([\d.]+)/u);
      const transactions = figure(/actually processed: (\d+)/u);
      if (!(perSecond > 0)) throw new Error(`pgbench told no figure:\n${output}`);
      const after = spent();
      const each = (part: keyof typeof before): number => (after[part] - before[part]) / transactions;
      const cpu = { postgres: each('postgres'), load: each('load') };
      return { perSecond, latency: (connections / perSecond) * 1_000, cpu };
    },
    async runAtRate(rate, connections, seconds) {
      const log = join(folder, `pgbench-${runs}`);
      await pgbench('textbook', connections, seconds, '-R', String(rate), '-l', `--log-prefix=${log}`);
      return latencyOf(globSync(`${log}.*`).map((file) => readFileSync(file, 'utf8')));
    },
  };
}

/** What a backend has used counts once it has ended and the server has waited for it: until no more are left than there were. */
async function untilWaitedFor(postmaster: number, others: number): Promise<void> {
  const patience = performance.now() + 2_000;
  while (countChildren(postmaster) > others && performance.now() < patience) await sleep(5);
}

/** Of pgbench's logs: a line for each transaction, the third column its microseconds; at a rate, from when it was due. */
function latencyOf(logs: readonly string[]): ReferenceLatency {
  const lines = logs.flatMap((log) => log.trimEnd().split('\n'));
  const sorted = lines.map((line) => Number(line.split(' ')[2]) / 1_000).toSorted((one, other) => one - other);
  if (sorted[0] === undefined || sorted.some(Number.isNaN)) throw new Error('pgbench logged no transactions');
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) ?? 0 };
}

async function textsOfACommand(source: string): Promise<RowTexts> {
  const client = new pg.Client({ connectionString: source });
  await client.connect();
  const { rows } = await client.query<RowTexts>(
    `SELECT c.payload, c.response::text AS response, e.payload::text AS "eventPayload", e.metadata::text AS metadata,
            o.payload AS value, o.headers::text AS headers
     FROM command_inbox AS c
     JOIN domain_events AS e ON e.aggregate_id = c.session_id AND e.aggregate_version = c.last_version
     JOIN event_outbox AS o ON o.key = c.session_id AND o.sequence = c.last_version
     WHERE c.command_type = 'SubmitFeedback' LIMIT 1`,
  );
  await client.end();
  const [texts] = rows;
  if (texts === undefined) throw new Error('no command has been stored yet');
  return texts;
}
