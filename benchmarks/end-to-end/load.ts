import { join } from 'node:path';
import { cpuOfEndedPrograms } from '../api/cpu.ts';
import { runProgram } from '../api/run-program.ts';

export interface Load {
  readonly address: string;
  /** Lines of a session's id and a token of its author. */
  readonly sessionsFile: string;
  /** Where the id of each accepted command is written. */
  readonly answersFile: string;
  readonly connections: number;
  readonly seconds: number;
  /** Commands per second; null: each connection sends its next command when the last was answered. */
  readonly rate: number | null;
}

export interface LoadFigures {
  /** Commands that were answered by 200. */
  readonly accepted: number;
  /** Other answers, and broken connections. */
  readonly refused: number;
  readonly seconds: number;
  /** Milliseconds from the request to its answer. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of CPU that the load generator has used. */
  readonly cpu: number;
}

interface Summary {
  readonly requests: number;
  readonly microseconds: number;
  readonly refused: number;
  readonly p50: number;
  readonly p99: number;
}

/** An author's feedback on the current stage. */
const BODY = JSON.stringify({
  command_type: 'SubmitFeedback',
  payload: {
    feedback: 'The second concept is close. Let the river remember who crossed it, and keep the ending open.',
  },
});

/** Sends commands by wrk. @throws Error when wrk fails */
export async function applyLoad(load: Load): Promise<LoadFigures> {
  const before = cpuOfEndedPrograms();
  const script = join(import.meta.dirname, 'commands.lua');
  const flags = ['-t', '1', '-c', String(load.connections), '-d', `${load.seconds}s`, '--timeout', '10s', '-s', script];
  const own = [load.sessionsFile, BODY, String(load.rate ?? 0), load.answersFile];
  const output = await runProgram('wrk', [...flags, load.address, '--', ...own]);
  const summary = JSON.parse(/^\{.*\}$/mu.exec(output)?.[0] ?? 'null') as Summary | null;
  if (summary === null) throw new Error(`wrk told no figures:\n${output}`);
  return {
    accepted: summary.requests - summary.refused,
    refused: summary.refused,
    seconds: summary.microseconds / 1e6,
    p50: summary.p50 / 1_000,
    p99: summary.p99 / 1_000,
    cpu: cpuOfEndedPrograms() - before,
  };
}
