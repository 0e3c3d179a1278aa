import Type, { type Static, type TSchema } from 'typebox';
import { ROW_ACTIONS } from '../outbox/operations/ports.ts';
import { WAIT_REASONS } from '../outbox/operations/why.ts';
import { OUTBOX_STATUSES } from '../outbox/outbox-row.ts';
import { Id, PAGE } from './schemas.ts';

/** What the operators' calls take and give, as schemas: they validate, and they describe. */

const strict = { additionalProperties: false } as const;
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
const Count = Type.Integer({ minimum: 0 });
const Seconds = Type.Number({ description: 'Seconds' });
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
const Shard = Type.Integer({ minimum: 0, maximum: 999 });
/** Ten digits: more rows than any outbox here will ever have had. */
const OutboxId = Type.Integer({ minimum: 1, maximum: 9_999_999_999 });
const Sequence = Type.Integer({ minimum: 1, description: 'aggregate_version of the event' });
const RowStatus = Type.Enum([...OUTBOX_STATUSES]);
const Age = Type.Integer({ minimum: 0, maximum: 999_999_999 });
const LastError = nullable(Type.String({ description: "The broker's words at the last refusal" }));
const Complete = (description: string) => Type.Boolean({ description });

const backlog = {
  pending: Type.Integer({ minimum: 0, description: 'All PENDING rows' }),
  waiting_for_retry: Type.Integer({ minimum: 0, description: 'Of these, refused and waiting for their retry' }),
  held: Type.Integer({ minimum: 0, description: 'Of these, waiting behind an earlier event of their session' }),
  failed: Count,
  discarded: Type.Integer({ minimum: 0, description: 'DISCARDED, and the marker not sent yet' }),
  sessions_on_hold: Count,
  oldest_age: nullable(Type.Number({ description: 'Seconds since the oldest of these was committed' })),
  complete: Complete('False: there is more than was counted, each number is at least that'),
};
const BacklogSchema = Type.Object(backlog, strict);

export const OutboxFiguresSchema = Type.Object(
  { total: BacklogSchema, shards: Type.Array(Type.Object({ shard: Shard, ...backlog }, strict)) },
  strict,
);

const BlockingRow = Type.Object(
  { outbox_id: OutboxId, event_id: Id, sequence: Sequence, status: RowStatus, last_error: LastError },
  strict,
);

export const WaitSchema = Type.Object(
  {
    reason: Type.Enum([...WAIT_REASONS]),
    detail: Type.String({ description: 'For people; rely on reason' }),
    until: nullable(Time),
    behind: nullable(BlockingRow),
    what_to_do: Type.String({ description: 'For people' }),
  },
  strict,
);

export const OutboxRowSchema = Type.Object(
  {
    outbox_id: OutboxId,
    event_id: Id,
    event_type: nullable(Type.String()),
    session_id: Id,
    sequence: Sequence,
    shard: Shard,
    topic: Type.String(),
    status: RowStatus,
    retry_count: Count,
    max_retries: Count,
    last_error: LastError,
    scheduled_at: nullable(Type.String({ format: 'date-time', description: 'When its retry is due' })),
    created_at: Time,
    age: Seconds,
    sent_at: nullable(Time),
    partition: nullable(Count),
    offset: nullable(Count),
    waits_for: Type.Array(WaitSchema, {
      description: 'All that keeps it waiting, the nearest first; empty: it goes out in its turn, or is settled',
    }),
  },
  strict,
);

export const OutboxPageSchema = pageOf(OutboxRowSchema);

export const SessionPublicationSchema = Type.Object(
  {
    session_id: Id,
    explanation: Type.String({ description: 'For people' }),
    waiting: Type.Integer({ minimum: 0, description: 'Its rows that are not settled' }),
    complete: Complete('False: more rows than that are waiting'),
    on_hold_since: nullable(Time),
    rows: Type.Array(OutboxRowSchema, { description: 'The first of them, in the order in which they go out' }),
    last_settled: nullable(OutboxRowSchema),
  },
  strict,
);

const filter = {
  session_id: Type.Optional(Id),
  event_id: Type.Optional(Id),
  status: Type.Optional(RowStatus),
  event_type: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  shard: Type.Optional(Shard),
  from_id: Type.Optional(OutboxId),
  to_id: Type.Optional(OutboxId),
  min_age: Type.Optional(Type.Integer({ ...Age, description: 'Seconds since it was committed, at least' })),
  max_age: Type.Optional(Type.Integer({ ...Age, description: 'Seconds since it was committed, at most' })),
};

const Filter = Type.Object(
  {
    ids: Type.Optional(Type.Array(OutboxId, { minItems: 1, maxItems: 1_000 })),
    ...filter,
    status: Type.Optional(Type.Enum(['PENDING', 'FAILED'])),
  },
  strict,
);
export type FilterBody = Static<typeof Filter>;

const Force = Type.Optional(
  Type.Boolean({
    description: 'Discard PENDING rows too that nothing keeps from being on their way: they may be sent all the same',
  }),
);
const Token = Type.Optional(Type.String({ minLength: 1, maxLength: 100, description: '`token` of the preview' }));
const Reason = Type.String({ minLength: 1, maxLength: 1_000, description: 'For the audit trail' });

export const PreviewRequest = Type.Object(
  { action: Type.Enum([...ROW_ACTIONS]), filter: Filter, force: Force },
  strict,
);
export const RetryRequest = Type.Object({ filter: Filter, token: Token, reason: Type.Optional(Reason) }, strict);
export const DiscardRequest = Type.Object({ filter: Filter, token: Token, reason: Reason, force: Force }, strict);
export const PauseRequest = Type.Object(
  {
    shards: Type.Union([
      Type.Array(Shard, { minItems: 1, maxItems: 1_000 }),
      Type.Literal('all', { description: 'Every shard' }),
    ]),
    reason: Type.Optional(Reason),
  },
  strict,
);

export const PreviewSchema = Type.Object(
  {
    action: Type.Enum([...ROW_ACTIONS]),
    count: Count,
    complete: Complete('False: more rows fit; these are changed first'),
    token: Type.String({ description: 'Names exactly these rows' }),
    sample: Type.Array(OutboxRowSchema),
  },
  strict,
);

export const RowActionSchema = Type.Object(
  {
    call_id: Id,
    action: Type.Enum([...ROW_ACTIONS]),
    affected: Count,
    skipped: Type.Integer({
      minimum: 0,
      description: 'Rows left alone: their status does not allow it, or somebody else has them locked',
    }),
    skipped_ids: Type.Array(OutboxId, { description: 'The first of them' }),
    complete: Complete('False: more rows fit; call again'),
    interrupted: nullable(Type.String({ description: 'Why it ended early; what was done stays done' })),
  },
  strict,
);

const Owner = Type.Object({ member: Type.Integer(), name: nullable(Type.String()) }, strict);

export const ShardSchema = Type.Object(
  {
    shard: Shard,
    state: Type.String({ description: 'free, recovering, active, unavailable, topic-ahead, paused, leaving' }),
    owner: nullable(Owner),
    lease_expires_in: nullable(Seconds),
    epoch: Count,
    paused: Type.Boolean(),
    floor: Type.Integer({ minimum: 0, description: 'No row below this id is to be sent in the ordinary way' }),
    position: Type.String({ description: 'Offset: everything in the partition below it is marked' }),
    last_progress_at: nullable(Time),
    last_error: nullable(Type.String()),
    topic_ahead_at: nullable(Type.String({ description: 'Offset of a record that the database lacks' })),
    backlog: BacklogSchema,
  },
  strict,
);

export const RelaySchema = Type.Object(
  {
    member: Type.Integer(),
    name: Type.String({ description: 'Host and process' }),
    delivery: Type.String(),
    alive: Type.Boolean(),
    joined_at: Time,
    expires_in: Seconds,
    shards: Type.Array(Shard),
  },
  strict,
);

export const ShardTableSchema = Type.Object(
  { topic_ahead: Type.Boolean(), shards: Type.Array(ShardSchema), relays: Type.Array(RelaySchema) },
  strict,
);

export const PauseSchema = Type.Object(
  {
    call_id: Id,
    changed: Type.Array(Shard),
    unchanged: Type.Array(Shard, { description: 'They were so already' }),
  },
  strict,
);

export const OperatorActionSchema = Type.Object(
  {
    action_id: Type.Integer({ minimum: 1 }),
    at: Time,
    call_id: Type.String({ format: 'uuid', description: 'What one call did in several steps shares it' }),
    actor: Type.String(),
    via: Type.String({ description: 'http or cli' }),
    action: Type.String({ description: 'retry, discard, pause, resume' }),
    filter: Type.Unknown(),
    reason: nullable(Type.String()),
    affected: Count,
    event_ids: Type.Array(Id),
    shards: Type.Array(Shard),
  },
  strict,
);

export const OperatorActionPageSchema = pageOf(OperatorActionSchema);

const paging = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: PAGE.max, default: PAGE.default, description: 'Most items of the page' }),
  ),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: '`next_cursor` of the page before' })),
};

export const OutboxRowQuery = Type.Object({ ...paging, ...filter }, strict);
export const OperatorActionQuery = Type.Object(
  {
    ...paging,
    action: Type.Optional(Type.String({ pattern: '^[a-z]+(-[a-z]+)*$', maxLength: 50 })),
    actor: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    call_id: Type.Optional(Id),
  },
  strict,
);

function pageOf<T extends TSchema>(item: T) {
  return Type.Object(
    {
      items: Type.Array(item),
      next_cursor: nullable(Type.String({ description: 'The `cursor` of the next page; null on the last' })),
    },
    strict,
  );
}
