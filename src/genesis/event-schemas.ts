import Type, { type Static, type TSchema } from 'typebox';
import type { CommandId } from './ids.ts';
import { STAGES, type CurrentStage, type JsonObject } from './session.ts';

/** One published version of an event: what it carries, and how new a program must be to understand it. */
interface EventSchema {
  /**
   * The level that brought this version: every new version of any event, and every new event, takes the next one. A session
   * remembers the highest level among its events, so that a program that knows less leaves its commands alone.
   */
  readonly level: number;
  readonly payload: TSchema;
}

// These bounds belong to what was published. They repeat the commands' bounds on purpose: a command may be changed, an event
// that was published may not.
const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });
const orNull = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
const closed = (description: string) => ({ additionalProperties: false, description });

const Title = text(200);
const Idea = text(10_000);
const Preferences = Type.Array(text(100), { maxItems: 20 });
const Reason = text(1_000);
const StageName = Type.Enum([...STAGES]);
const CurrentStageName = Type.Enum([...STAGES, 'FINISHED'] satisfies CurrentStage[]);
const RequestId = Type.Unsafe<CommandId>(Type.String({ format: 'uuid' }));

const Concept = Type.Object(
  { title: Title, summary: text(5_000), themes: Type.Optional(Preferences) },
  closed('One proposal for the novel.'),
);

/**
 * The payload of every event in every version that was ever published, by event_type and event_version. Append only:
 * `checks/event-schemas.ts` refuses a change of what was published, and says why in docs/adr/0006-event-versions.md.
 */
export const EVENT_SCHEMAS = {
  'Genesis.Session.Created': {
    1: {
      level: 1,
      payload: Type.Object(
        { title: orNull(Title), idea: orNull(Idea) },
        closed('An author began a session. Null: not given.'),
      ),
    },
  },
  'Genesis.Session.Requested': {
    1: {
      level: 1,
      payload: Type.Object(
        {
          request_id: RequestId,
          stage: StageName,
          theme_preferences: Preferences,
          style_preferences: Preferences,
        },
        closed('The author asked for concepts; whoever answers names this request_id.'),
      ),
    },
  },
  'Genesis.Session.Proposed': {
    1: {
      level: 1,
      payload: Type.Object(
        { request_id: RequestId, concepts: Type.Array(Concept, { minItems: 1, maxItems: 10 }) },
        closed('Concepts that answer the request.'),
      ),
    },
  },
  'Genesis.Session.Failed': {
    1: {
      level: 1,
      payload: Type.Object(
        { request_id: RequestId, reason: Reason },
        closed('The request ended without an answer. SUPERSEDED: the author went on without one.'),
      ),
    },
  },
  'Genesis.Session.Submitted': {
    1: {
      level: 1,
      payload: Type.Object(
        { stage: CurrentStageName, feedback: Idea, target: orNull(Title) },
        closed('The author gave feedback; target null: on the whole.'),
      ),
    },
  },
  'Genesis.Session.Confirmed': {
    1: {
      level: 1,
      payload: Type.Object(
        { stage: StageName, next_stage: CurrentStageName, data: Type.Unsafe<JsonObject>({ type: 'object' }) },
        closed('The author confirmed a stage, with whatever data belongs to it.'),
      ),
    },
  },
  'Genesis.Session.Finished': {
    1: {
      level: 1,
      payload: Type.Object({ status: Type.Literal('COMPLETED') }, closed('The last stage was confirmed.')),
    },
  },
  'Genesis.Session.Updated': {
    1: {
      level: 1,
      payload: Type.Object(
        {
          title: Type.Optional(Title),
          idea: Type.Optional(Idea),
          status: Type.Optional(Type.Literal('ABANDONED')),
          reason: Type.Optional(Reason),
        },
        closed('Only the members that changed are present; ABANDONED ends the session.'),
      ),
    },
  },
} as const satisfies Readonly<Record<string, Readonly<Record<number, EventSchema>>>>;

export type EventType = keyof typeof EVENT_SCHEMAS;

/** The payload of one version of an event. */
export type PayloadOf<T extends EventType, V extends PropertyKey> =
  (typeof EVENT_SCHEMAS)[T] extends Readonly<Record<V, { readonly payload: infer S extends TSchema }>>
    ? DeepReadonly<Static<S>>
    : never;

/** Open objects (JsonObject) say so themselves. */
type DeepReadonly<T> = T extends string | number | boolean | null | undefined
  ? T
  : string extends keyof T
    ? T
    : { readonly [K in keyof T]: DeepReadonly<T[K]> };

const LEVELS: ReadonlyMap<string, number> = new Map(
  Object.entries(EVENT_SCHEMAS).flatMap(([type, versions]) =>
    Object.entries<EventSchema>(versions).map(([version, { level }]) => [`${type}/${version}`, level]),
  ),
);

/** The newest level that this program understands. */
export const EVENT_SCHEMA_LEVEL = Math.max(...LEVELS.values());

/** The level that brought this version of this event; null if this program knows no such version. */
export function levelOf(eventType: string, eventVersion: number): number | null {
  return LEVELS.get(`${eventType}/${eventVersion}`) ?? null;
}

const Uuid = Type.String({ format: 'uuid' });

/** The value of every record on the topic, whatever the event. */
export const ENVELOPE_SCHEMA = Type.Object(
  {
    event_id: Uuid,
    event_type: Type.String({ pattern: '^[A-Z][A-Za-z]*(\\.[A-Z][A-Za-z]*){1,2}\\.[A-Z][a-z]+$' }),
    event_version: Type.Integer({ minimum: 1 }),
    aggregate_type: Type.Literal('GENESIS_SESSION'),
    aggregate_id: Uuid,
    aggregate_version: Type.Integer({ minimum: 1, description: '1, 2, 3 … without a gap, per aggregate_id.' }),
    correlation_id: Uuid,
    causation_id: Uuid,
    occurred_at: Type.String({ format: 'date-time' }),
    payload: Type.Object({}, { description: 'By event_type and event_version: <event_type>/<event_version>.json.' }),
    metadata: Type.Object(
      {
        user_id: Type.String({ minLength: 1, maxLength: 255 }),
        source_service: Type.String({ minLength: 1 }),
        traceparent: Type.Optional(Type.String()),
      },
      { description: 'Further members may come: a reader ignores those it does not know.' },
    ),
  },
  closed('An event of a Genesis session, as it is on the topic. The record key is aggregate_id.'),
);
