import { createProgram } from '../cli/program.ts';
import type { Actions } from '../cli/run.ts';
import { ConfigError } from '../config.ts';
import { version } from './version.ts';

const FAILED = 1;
const WRONG_USAGE = 2;
/** As shells tell a program that was ended by SIGPIPE, which Node ignores. */
const BROKEN_PIPE = 141;

/** Loaded when it is called: most sub-commands run no service. */
const actions: Actions = {
  run: async (serviceType) => (await import('./run.ts')).run(serviceType, process.env),
};

// `genesis outbox list | head`: whoever closes the pipe has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(BROKEN_PIPE);
});

try {
  const program = await createProgram(actions, process.env, version, process.argv[2]);
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
