import { join } from 'node:path';
import { cpuOf, cpuOfEndedPrograms, cpuOfFamily } from './cpu.ts';
import { runProgram } from './run-program.ts';
import type { Stage } from './stage.ts';

export interface LoadFigures {
  readonly connections: number;
  /** Accepted commands per second. */
  readonly perSecond: number;
  /** Answers other than 200, and broken connections. */
  readonly refused: number;
  /** Milliseconds from the request to its answer. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Microseconds of CPU for each command. */
  readonly cpu: { readonly api: number; readonly postgres: number; readonly load: number };
  /** Share of one core that the API has used, and the load generator of all that it could have used. */
  readonly busy: { readonly api: number; readonly load: number };
}

interface Summary {
  readonly requests: number;
  readonly microseconds: number;
  readonly refused: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** What is sent: an author's feedback on the current stage. */
export const COMMAND_BODY = JSON.stringify({
  command_type: 'SubmitFeedback',
  payload: {
    feedback: 'The second concept is close. Let the river remember who crossed it, and keep the ending open.',
  },
});

/** So many connections, each sends its next command when the last was answered. */
export async function applyLoad(stage: Stage, connections: number, seconds: number): Promise<LoadFigures> {
  const before = spent(stage);
  const script = join(import.meta.dirname, 'commands.lua');
  const load = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s'];
  const output = await runProgram('wrk', [
    ...load,
    '-s',
    script,
    stage.api.address,
    '--',
    stage.sessionsFile,
    COMMAND_BODY,
  ]);
  const after = spent(stage);
  const summary = JSON.parse(/^\{.*\}$/mu.exec(output)?.[0] ?? 'null') as Summary | null;
  if (summary === null) throw new Error(`wrk told no figures:\n${output}`);
  const accepted = summary.requests - summary.refused;
  const of = (part: keyof typeof before): number => after[part] - before[part];
  const each = (part: keyof typeof before): number => Math.round((of(part) / summary.requests) * 10) / 10;
  return {
    connections,
    perSecond: (accepted / summary.microseconds) * 1_000_000,
    refused: summary.refused,
    p50: summary.p50 / 1_000,
    p99: summary.p99 / 1_000,
    max: summary.max / 1_000,
    cpu: { api: each('api'), postgres: each('postgres'), load: each('load') },
    busy: { api: of('api') / summary.microseconds, load: of('load') / summary.microseconds },
  };
}

export function spent({ api, postmaster }: Stage) {
  return { api: cpuOf(api.pid), postgres: cpuOfFamily(postmaster), load: cpuOfEndedPrograms() };
}
