import type { Static } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { GenesisError } from '../errors.ts';
import type { EventId, SessionId } from '../genesis/ids.ts';
import type { Lane, RowAction, RowFilter } from '../outbox/operations/ports.ts';
import type { RowPosition } from '../outbox/operations/select-rows.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { fieldErrorsOf, type FieldError } from './field-errors.ts';
import {
  DiscardRequest,
  PauseRequest,
  PreviewRequest,
  RetryRequest,
  type FilterBody,
  type OutboxRowQuery,
} from './ops-schemas.ts';

const preview = Compile(PreviewRequest);
const retry = Compile(RetryRequest);
const discard = Compile(DiscardRequest);
const pause = Compile(PauseRequest);

/** What to do with which rows. */
export interface AskedAction {
  readonly filter: FilterBody;
  readonly token: string | null;
  readonly reason: string | null;
  readonly force: boolean;
}

/** @throws GenesisError INVALID_PAYLOAD */
export function askedPreview(body: unknown): Static<typeof PreviewRequest> {
  const asked = fitting(preview, body);
  mustSuit(asked.action, asked.filter);
  return asked;
}

/** @throws GenesisError INVALID_PAYLOAD */
export function askedAction(action: RowAction, body: unknown): AskedAction {
  const {
    filter,
    token = null,
    reason = null,
    ...rest
  } = action === 'retry' ? fitting(retry, body) : fitting(discard, body);
  mustSuit(action, filter);
  if (token === null && filter.ids === undefined) {
    throw invalid([
      { pointer: '/token', detail: 'is required where rows are not named by ids: ask for a preview first' },
    ]);
  }
  return { filter, token, reason, force: 'force' in rest && rest.force === true };
}

/** @throws GenesisError INVALID_PAYLOAD */
export function askedPause(body: unknown): Static<typeof PauseRequest> {
  return fitting(pause, body);
}

/** As TypeBox compiles it from a schema. */
interface Judge<Body> {
  Check(value: unknown): value is Body;
  Errors(value: unknown): TLocalizedValidationError[];
}

function fitting<Body>(judge: Judge<Body>, body: unknown): Body {
  if (judge.Check(body)) return body;
  throw invalid(fieldErrorsOf(judge.Errors(body)));
}

function mustSuit(action: RowAction, { status }: FilterBody): void {
  if (action === 'retry' && status === 'PENDING') {
    throw invalid([{ pointer: '/filter/status', detail: 'must be FAILED: a PENDING row is tried by itself' }]);
  }
}

export function invalid(errors: readonly FieldError[]): GenesisError {
  return new GenesisError('INVALID_PAYLOAD', 'The body does not fit the schema of this call', { errors });
}

/** A filter as it comes in a body or a query; ids are kept in lower case. */
export function filterOf(asked: FilterBody | Static<typeof OutboxRowQuery>): RowFilter {
  return {
    ids: 'ids' in asked ? asked.ids : null,
    sessionId: orNull(asked.session_id?.toLowerCase() as SessionId | undefined),
    eventId: orNull(asked.event_id?.toLowerCase() as EventId | undefined),
    status: orNull(asked.status),
    eventType: orNull(asked.event_type),
    shard: orNull(asked.shard),
    fromId: orNull(asked.from_id),
    toId: orNull(asked.to_id),
    minAge: orNull(asked.min_age),
    maxAge: orNull(asked.max_age),
  };
}

function orNull<Value>(value: Value | undefined): Value | null {
  return value ?? null;
}

/** A place in a list of rows as its cursor: the lane, and where in it, the session first if it says so. */
export function rowCursor(position: RowPosition | null): string | null {
  if (position === null) return null;
  const { lane, from } = position;
  const place = from === null ? [] : [from.key, from.at].filter((part) => part !== null);
  return encodeCursor('rows', [lane, ...place].join(':'));
}

/** @throws GenesisError MALFORMED_REQUEST */
export function rowPosition(cursor: string): RowPosition {
  const [lane, ...place] = decodeCursor('rows', cursor).split(':');
  const at = place.at(-1);
  const from = at === undefined ? null : { key: place.length > 1 ? (place[0] as SessionId) : null, at: Number(at) };
  return { lane: lane as Lane, from };
}
