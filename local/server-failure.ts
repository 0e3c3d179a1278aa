import { LocalInfrastructureError } from './local-infrastructure-error.ts';
import type { Exit } from './processes.ts';
import { lastLines } from './processes.ts';

const LINES = 8;

/** Why a server did not start, from what it logged. */
export function startFailed(server: string, log: string, failure: string): LocalInfrastructureError {
  if (/no space left on device/i.test(failure)) {
    return new LocalInfrastructureError(
      `${server} found no space left on its disk: free some and start again (its log is ${log}).`,
    );
  }
  if (/address already in use/i.test(failure)) {
    return new LocalInfrastructureError(
      `${server}'s port was taken by another program while it started: start again (its log is ${log}).`,
    );
  }
  return new LocalInfrastructureError(`${server} did not start (its log is ${log}):\n${lastLines(failure, LINES)}`);
}

/** That a server ended though nobody asked it to. */
export function diedSentence(server: string, exit: Exit, log: string, logged: string): string {
  const how = exit.signal === null ? `with exit code ${exit.code ?? 'unknown'}` : `by ${exit.signal}`;
  return `${server} ended unexpectedly, ${how} (its log is ${log}):\n${lastLines(logged, LINES)}`;
}
