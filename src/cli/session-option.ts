import { InvalidArgumentError } from 'commander';
import type { SessionId } from '../genesis/ids.ts';

/** A session's id from the command line. @throws InvalidArgumentError */
export function parseSessionId(value: string): SessionId {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(value)) {
    throw new InvalidArgumentError('It must be the id of a session: a UUID.');
  }
  return value.toLowerCase() as SessionId;
}
