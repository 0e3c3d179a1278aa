import type { SessionId } from '../genesis/ids.ts';

const REBUILD = 'npx genesis rebuild --session';
const BY_HAND = 'No program of ours does this: find out who changed the tables by hand, or restore them from a backup.';

/** Everything that `verify` can find: what it means, and how to mend it. */
export const FINDINGS = {
  PROJECTION_MISSING: { meaning: 'The session has events, but no row in genesis_sessions', mend: REBUILD },
  PROJECTION_DIFFERS: { meaning: 'Its row in genesis_sessions is not what its events say', mend: REBUILD },
  PROJECTION_WITHOUT_EVENTS: {
    meaning: 'It has a row in genesis_sessions, but no event',
    mend: `Nothing ever happened to it: delete the row, unless its events were lost. ${BY_HAND}`,
  },
  HISTORY_DAMAGED: {
    meaning: 'Its events are not a history: a version is missing, or an event cannot follow the one before',
    mend: `Events are the only truth and cannot be made from anything else. ${BY_HAND}`,
  },
  EVENT_TOO_NEW: {
    meaning: 'It has an event that this program is too old for; its row could not be judged',
    mend: 'Run the newest version of this program',
  },
  OUTBOX_MISSING: {
    meaning: 'An event that cannot have been published and cleaned up has no row in event_outbox',
    mend: `The event was never published, and later ones of its session may be ahead of it. ${BY_HAND}`,
  },
  OUTBOX_DIFFERS: {
    meaning: 'The row in event_outbox is not what its event says',
    mend: `Discard the row if it is still pending, then publish the events of the session anew. ${BY_HAND}`,
  },
  OUTBOX_STUCK: {
    meaning: 'A PENDING row in event_outbox that no relay will come to: claims begin behind it',
    mend: 'Touch the row, then it is sent: UPDATE event_outbox SET scheduled_at = now() WHERE key = … AND sequence = …. And tell us: it should not happen',
  },
  OUTBOX_WITHOUT_EVENT: {
    meaning: 'A row in event_outbox belongs to no event, or stands at the place of another',
    mend: `Discard the row if it is still pending. ${BY_HAND}`,
  },
  INBOX_VERSIONS: {
    meaning: 'A command in command_inbox names versions that the session does not have',
    mend: `Its events are missing, or the row was changed. ${BY_HAND}`,
  },
  INBOX_UNFINISHED: {
    meaning: 'The unfinished commands in command_inbox are not exactly the request that the events leave outstanding',
    mend: `The session will refuse its next request, or never end the one it has. ${BY_HAND}`,
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string; readonly mend: string }>>;

export type FindingCode = keyof typeof FINDINGS;

/** One place where the tables do not agree. */
export interface Finding {
  readonly code: FindingCode;
  readonly sessionId: SessionId;
  /** Which version, row or column. Never what an author wrote. */
  readonly detail: string;
}

/** What to do about a finding, as a line for people. */
export function mendOf({ code, sessionId }: Finding): string {
  const { mend } = FINDINGS[code];
  return mend === REBUILD ? `${mend} ${sessionId}` : mend;
}
