import { InvalidArgumentError } from 'commander';
import type { SessionId } from '../genesis/ids.ts';

/** A session's id from the command line. @throws InvalidArgumentError */
export function parseSessionId(value: string): SessionId {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(value)) {
    throw new InvalidArgumentError('It must be the id of a session: a UUID.');
  }
  return value.toLowerCase() as SessionId;
}

/**
 * @param sessions How many were found.
 * @throws Error if one was asked for and no table knows of it
 */
export function mustExist(asked: SessionId | undefined, sessions: number): void {
  if (asked !== undefined && sessions === 0) throw new Error(`there is no such session: ${asked}`);
}
