import { readFileSync } from 'node:fs';
import { createProgram } from '../cli/program.ts';
import { ConfigError } from '../config.ts';
import { run } from './run.ts';

const FAILED = 1;
const WRONG_USAGE = 2;

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const program = createProgram({ run: (serviceType) => run(serviceType, process.env) }, process.env, version);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = report(error);
}

/** Says what is wrong in words meant for people, and gives the exit code. Only a defect of ours shows its stack. */
function report(error: unknown): number {
  if (isUsage(error)) return error.exitCode === 0 ? 0 : WRONG_USAGE;
  if (!(error instanceof Error)) {
    console.error(`genesis: ${String(error)}`);
    return FAILED;
  }
  console.error(`genesis: ${process.env['LOG_LEVEL'] === 'DEBUG' ? (error.stack ?? error.message) : error.message}`);
  return error instanceof ConfigError ? WRONG_USAGE : FAILED;
}

/** commander has already told the user. */
function isUsage(error: unknown): error is { exitCode: number } {
  return (
    error instanceof Error && 'code' in error && String(error.code).startsWith('commander.') && 'exitCode' in error
  );
}
