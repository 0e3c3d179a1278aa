import type { SessionId } from '../genesis/ids.ts';

/** Why an event of the topic cannot be brought back: what it means, and what can be done. */
export const RECOVER_PROBLEMS = {
  CONFLICT: {
    meaning:
      'The database holds another event in its place: a command was accepted after the restore, before anybody noticed',
    remedy:
      'Both happened, and only people can say which one counts. Nothing of the session is imported; tell its author, who may go on in a new session',
  },
  MARKER: {
    meaning: 'The event was discarded by an operator: the topic holds its place, but not its content',
    remedy:
      'Restore a backup that holds the event; nothing else has its content. The session stays as it was before it',
  },
  GAP: {
    meaning: 'The events before it are neither in the database nor in what was read of the topic',
    remedy: 'Read the partition from an earlier offset, or from its beginning (without --from)',
  },
  UNREADABLE: {
    meaning: 'The record is not what this program writes',
    remedy: 'A newer version may have written it: run that one. Else somebody else writes to the topic',
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string; readonly remedy: string }>>;

export type RecoverProblemCode = keyof typeof RECOVER_PROBLEMS;

/** The first event of a session that cannot be brought back; those behind it cannot either. */
export interface RecoverProblem {
  readonly code: RecoverProblemCode;
  readonly sessionId: SessionId;
  readonly sequence: number;
  readonly eventId: string;
  readonly partition: number;
  readonly offset: bigint;
}
