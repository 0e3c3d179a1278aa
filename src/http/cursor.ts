import { hash } from 'node:crypto';
import { malformed } from './json-body.ts';

/** Which list a cursor belongs to. */
export type CursorKind = 'sessions' | 'commands' | 'events' | 'rows' | 'actions';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Rows of the outbox: a lane, and where in it the next page begins. */
const ROWS =
  /^(?:held(?::[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,10})?|(?:ordinary|settled|session|ids)(?::[0-9]{1,15})?)$/;
/** What each list is ordered by: the id, or the version, of the last item of a page. */
const POSITIONS = {
  sessions: UUID,
  commands: UUID,
  events: /^(?:0|[1-9][0-9]{0,8})$/,
  rows: ROWS,
  actions: /^[1-9][0-9]{0,14}$/,
} satisfies Record<CursorKind, RegExp>;

/** Digits of the checksum: it finds damage, it keeps nothing secret. */
const CHECKSUM_LENGTH = 8;

/** Names the place in a list where its next page begins. Opaque to clients; says nothing that the page itself did not. */
export function encodeCursor(kind: CursorKind, position: string): string {
  const text = `${kind}:${position}`;
  return Buffer.from(`${checksumOf(text)}:${text}`).toString('base64url');
}

/**
 * The position that a cursor names.
 * @throws GenesisError MALFORMED_REQUEST when it was damaged or belongs to another kind of list
 */
export function decodeCursor(kind: CursorKind, cursor: string): string {
  const text = Buffer.from(cursor, 'base64url').toString();
  const position = text.slice(CHECKSUM_LENGTH + kind.length + 2);
  // base64url has several spellings of the same bytes; only ours is taken.
  if (!POSITIONS[kind].test(position) || encodeCursor(kind, position) !== cursor) {
    throw malformed('The cursor is damaged or belongs to another kind of list; begin again without it');
  }
  return position;
}

function checksumOf(text: string): string {
  return hash('sha256', text).slice(0, CHECKSUM_LENGTH);
}
