import Type, { type Static, type TSchema } from 'typebox';
import { COMMAND_STATUSES } from '../events/ports.ts';
import { PUBLICATION_STATUSES } from '../events/publication.ts';
import { COMMAND_PAYLOADS, type CommandType } from '../genesis/commands.ts';
import { SESSION_STATUSES, STAGES } from '../genesis/session.ts';

/** What the reading calls take and give, as schemas: they validate, and they describe. */

/** Most items of a page, and how many it has when nobody says. */
export const PAGE = { max: 100, default: 20 } as const;
/** PostgreSQL's greatest integer. */
const MAX_VERSION = 2_147_483_647;

const strict = { additionalProperties: false } as const;
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const Id = Type.String({ format: 'uuid' });
const Time = Type.String({ format: 'date-time', description: 'RFC 3339, UTC, milliseconds' });
export const Version = Type.Integer({ minimum: 1, maximum: MAX_VERSION });

export const SessionStatus = Type.Enum([...SESSION_STATUSES]);
export const CurrentStage = Type.Enum([...STAGES, 'FINISHED']);
const CommandStatus = Type.Enum([...COMMAND_STATUSES]);
const CommandTypeName = Type.Enum(Object.keys(COMMAND_PAYLOADS) as CommandType[]);

export const SessionSchema = Type.Object(
  {
    session_id: Id,
    status: SessionStatus,
    current_stage: CurrentStage,
    title: nullable(Type.String()),
    idea: nullable(Type.String()),
    confirmed_data: Type.Record(Type.String(), Type.Unknown(), { description: 'What was confirmed, by stage' }),
    version: Version,
    outstanding_request: nullable(Id),
    created_at: Time,
    updated_at: Time,
  },
  strict,
);

export const PublicationSchema = Type.Object(
  {
    status: Type.Enum([...PUBLICATION_STATUSES]),
    topic: nullable(Type.String()),
    partition: nullable(Type.Integer({ minimum: 0 })),
    offset: nullable(Type.Integer({ minimum: 0 })),
    sent_at: nullable(Time),
    attempts: nullable(
      Type.Integer({ minimum: 0, description: 'Refusals of the broker that counted, and its acknowledgement' }),
    ),
    last_error: nullable(Type.String({ description: "The broker's words at the last refusal" })),
    held_by: nullable(
      Type.String({ format: 'uuid', description: 'event_id of the event that this one may not overtake' }),
    ),
  },
  strict,
);

export const CommandSchema = Type.Object(
  {
    command_id: Id,
    session_id: Id,
    command_type: CommandTypeName,
    status: CommandStatus,
    message: Type.String(),
    error: nullable(Type.String({ description: 'Why the command FAILED' })),
    created_at: Time,
    completed_at: nullable(Time),
    events: Type.Array(
      Type.Object(
        { event_id: Id, event_type: Type.String(), aggregate_version: Version, publication: PublicationSchema },
        strict,
      ),
    ),
  },
  strict,
);
export type CommandBody = Static<typeof CommandSchema>;

export const EventSchema = Type.Object(
  {
    event_id: Id,
    event_type: Type.String(),
    event_version: Type.Integer({ minimum: 1, description: 'The version that the payload is shown in' }),
    stored_version: Type.Integer({ minimum: 1, description: 'The version that it was written in' }),
    aggregate_version: Version,
    correlation_id: Id,
    causation_id: Id,
    occurred_at: Time,
    payload: Type.Unknown(),
  },
  strict,
);
export type EventBody = Static<typeof EventSchema>;

/** How a command is answered when it is sent. */
export const CommandAnswerSchema = Type.Object(
  { command_id: Id, status: Type.Enum(['COMPLETED', 'PROCESSING']), message: Type.String() },
  strict,
);

export const LivenessSchema = Type.Object({ status: Type.Literal('ok') }, strict);

export const ReadinessCheckSchema = Type.Object({ name: Type.String(), ok: Type.Boolean() }, strict);
export const ReadinessSchema = Type.Object(
  { status: Type.Literal('ready'), checks: Type.Array(ReadinessCheckSchema) },
  strict,
);

const listOf = <T extends TSchema>(item: T) =>
  Type.Object(
    {
      items: Type.Array(item),
      next_cursor: nullable(Type.String({ description: 'The `cursor` of the next page; null on the last' })),
    },
    strict,
  );

export const SessionListSchema = listOf(SessionSchema);
export const CommandListSchema = listOf(CommandSchema);
export const EventListSchema = listOf(EventSchema);

export const SessionParams = Type.Object({ session_id: Id });
export const CommandParams = Type.Object({ session_id: Id, command_id: Id });

const paging = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: PAGE.max, default: PAGE.default, description: 'Most items of the page' }),
  ),
  cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 200, description: '`next_cursor` of the page before' })),
};

export const SessionListQuery = Type.Object(
  { ...paging, status: Type.Optional(SessionStatus), current_stage: Type.Optional(CurrentStage) },
  strict,
);
export const CommandListQuery = Type.Object(
  { ...paging, status: Type.Optional(CommandStatus), command_type: Type.Optional(CommandTypeName) },
  strict,
);
export const EventListQuery = Type.Object(
  {
    ...paging,
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: MAX_VERSION, description: 'Only events above this aggregate_version' }),
    ),
  },
  strict,
);
/** Nothing may be asked. */
export const NoQuery = Type.Object({}, strict);
