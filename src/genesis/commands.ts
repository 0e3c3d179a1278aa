import Type, { type Static, type TSchema } from 'typebox';
import { STAGES } from './session.ts';

/**
 * The bounds keep every event far below the topic's max.message.bytes (1 MiB): lengths count characters (code points), of at most
 * six bytes each in JSON, and free-form data is bounded by its encoded size besides (MAX_DATA_BYTES).
 */
const text = (maxLength: number, minLength = 1) => Type.String({ minLength, maxLength });
const strict = { additionalProperties: false } as const;

/** Most bytes that the `data` of a stage may take as JSON in UTF-8. */
export const MAX_DATA_BYTES = 65_536;
/** Deepest nesting of a payload: objects and arrays within each other. */
export const MAX_PAYLOAD_DEPTH = 32;

const Title = text(200);
const Idea = text(10_000);
const Preferences = Type.Array(text(100), { maxItems: 20 });
const StageName = Type.Enum([...STAGES]);
const RequestId = Type.String({ format: 'uuid' });
const Reason = text(1_000);

const Concept = Type.Object({ title: Title, summary: text(5_000), themes: Type.Optional(Preferences) }, strict);

/** The payload of each command, by command_type. */
export const COMMAND_PAYLOADS = {
  CreateSession: Type.Object({ title: Type.Optional(Title), idea: Type.Optional(Idea) }, strict),
  RequestConceptGeneration: Type.Object({ theme_preferences: Preferences, style_preferences: Preferences }, strict),
  ProposeConcepts: Type.Object(
    { request_id: RequestId, concepts: Type.Array(Concept, { minItems: 1, maxItems: 10 }) },
    strict,
  ),
  FailConceptGeneration: Type.Object({ request_id: RequestId, reason: Reason }, strict),
  SubmitFeedback: Type.Object({ feedback: text(10_000), target: Type.Optional(text(200)) }, strict),
  ConfirmStage: Type.Object(
    { stage: StageName, data: Type.Optional(Type.Record(Type.String(), Type.Unknown())) },
    strict,
  ),
  UpdateSession: Type.Object(
    { title: Type.Optional(Title), idea: Type.Optional(Idea) },
    { ...strict, minProperties: 1 },
  ),
  AbandonSession: Type.Object({ reason: Type.Optional(Reason) }, strict),
} as const satisfies Record<string, TSchema>;

export type CommandType = keyof typeof COMMAND_PAYLOADS;
export type CommandPayload<T extends CommandType> = Static<(typeof COMMAND_PAYLOADS)[T]>;

/** What somebody asks of a session; discriminated by `type`. */
export type Command = {
  [T in CommandType]: { readonly type: T; readonly payload: CommandPayload<T> };
}[CommandType];
