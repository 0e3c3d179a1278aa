import Type, { type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { GenesisError } from '../errors.ts';
import {
  COMMAND_PAYLOADS,
  MAX_DATA_BYTES,
  MAX_PAYLOAD_DEPTH,
  type Command,
  type CommandType,
} from '../genesis/commands.ts';
import { fieldErrorsOf, isDeeperThan, type FieldError } from './field-errors.ts';

/** The commands that an existing session takes. */
export type SessionCommandType = Exclude<CommandType, 'CreateSession'>;

const { CreateSession: creationPayload, ...SESSION_PAYLOADS } = COMMAND_PAYLOADS;

export const SUPPORTED_COMMANDS = Object.keys(SESSION_PAYLOADS) as readonly SessionCommandType[];

const envelope = (commandType: TSchema, payload: TSchema) =>
  Type.Object({ command_type: commandType, payload }, { additionalProperties: false });

/** The body of POST /sessions: a payload. */
export const CreateSession = creationPayload;
/** The body of POST /sessions/{id}/commands, by its command_type. */
export const COMMAND_BODIES: ReadonlyMap<SessionCommandType, TSchema> = new Map(
  SUPPORTED_COMMANDS.map((type) => [type, envelope(Type.Literal(type), SESSION_PAYLOADS[type])] as const),
);

const creation = Compile(CreateSession);
/** For a body that does not say which command it is. */
const anyEnvelope = Compile(envelope(Type.String(), Type.Object({})));
const envelopes = new Map([...COMMAND_BODIES].map(([type, body]) => [type, Compile(body)] as const));

/** A body judged by its schema: the command that it holds, or all that is wrong with it. */
export type Judged = { readonly command: Command } | { readonly errors: readonly FieldError[] };

/** Judges the body of POST /sessions, which is a payload. */
export function judgeCreation(body: unknown): Judged {
  if (!creation.Check(body)) return { errors: fieldErrorsOf(creation.Errors(body)) };
  return { command: { type: 'CreateSession', payload: body } };
}

/**
 * Which command a body names; null when it names none as it should, which judgeCommand then explains.
 * @throws GenesisError UNSUPPORTED_COMMAND_TYPE
 */
export function commandTypeOf(body: unknown): SessionCommandType | null {
  if (typeof body !== 'object' || body === null || !('command_type' in body)) return null;
  const { command_type: type } = body;
  if (typeof type !== 'string') return null;
  const supported = SUPPORTED_COMMANDS.find((name) => name === type);
  if (supported !== undefined) return supported;
  throw new GenesisError('UNSUPPORTED_COMMAND_TYPE', 'There is no such command for a session', {
    supported: SUPPORTED_COMMANDS,
  });
}

/** Judges the body of POST /sessions/{id}/commands. */
export function judgeCommand(type: SessionCommandType | null, body: unknown): Judged {
  const validator = (type === null ? undefined : envelopes.get(type)) ?? anyEnvelope;
  if (type === null || !validator.Check(body)) return { errors: fieldErrorsOf(validator.Errors(body)) };
  const { payload } = body as { payload: object };
  const errors = beyondSchema(payload);
  return errors.length > 0 ? { errors } : { command: normalised({ type, payload } as Command) };
}

/** What JSON Schema cannot say. Depth first: encoding recurses. */
function beyondSchema(payload: object): readonly FieldError[] {
  if (isDeeperThan(payload, MAX_PAYLOAD_DEPTH)) {
    return [{ pointer: '/payload', detail: `must not be nested deeper than ${MAX_PAYLOAD_DEPTH} levels` }];
  }
  if ('data' in payload && Buffer.byteLength(JSON.stringify(payload.data)) > MAX_DATA_BYTES) {
    return [{ pointer: '/payload/data', detail: `must not exceed ${MAX_DATA_BYTES} bytes as JSON` }];
  }
  return [];
}

/** Ids are compared in lower case everywhere behind this door. */
function normalised(command: Command): Command {
  switch (command.type) {
    case 'ProposeConcepts':
      return { type: command.type, payload: withLowerCaseId(command.payload) };
    case 'FailConceptGeneration':
      return { type: command.type, payload: withLowerCaseId(command.payload) };
    default:
      return command;
  }
}

function withLowerCaseId<Payload extends { readonly request_id: string }>(payload: Payload): Payload {
  return { ...payload, request_id: payload.request_id.toLowerCase() };
}
