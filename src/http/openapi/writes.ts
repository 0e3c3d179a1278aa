import type { ErrorCode } from '../../errors.ts';
import { SUPPORTED_COMMANDS } from '../command-schemas.ts';
import { json, linkTo, ref, type Answer, type Json, type Operation } from './operation.ts';

/** Every command can meet them. */
const ERRORS_OF_COMMANDS = [
  'FORBIDDEN',
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INVALID_PAYLOAD',
  'IDEMPOTENCY_KEY_REUSED',
  'OVERLOADED',
  'OUTCOME_UNKNOWN',
] as const satisfies readonly ErrorCode[];

const REQUEST_ID = '01890a5d-ac96-774b-bcce-b302099a8058';
/** One good body for each command; a test holds them to the schemas. */
export const COMMAND_EXAMPLES = {
  RequestConceptGeneration: { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏', '第一人称'] },
  ProposeConcepts: {
    request_id: REQUEST_ID,
    concepts: [{ title: '星海', summary: 'A generation ship that has forgotten it is one', themes: ['科幻'] }],
  },
  FailConceptGeneration: { request_id: REQUEST_ID, reason: 'GENERATION_FAILED' },
  SubmitFeedback: { feedback: 'Darker, please', target: 'ending' },
  ConfirmStage: { stage: 'CONCEPT_SELECTION', data: { concept: '星海' } },
  UpdateSession: { title: '星海无声' },
  AbandonSession: { reason: 'Another idea came' },
} as const satisfies Readonly<Record<(typeof SUPPORTED_COMMANDS)[number], Json>>;

/** When the state of a session allows each command, besides that it must be in progress. */
export const COMMAND_WHEN = {
  RequestConceptGeneration: 'at stage CONCEPT_SELECTION, while no request is outstanding',
  ConfirmStage: '`stage` is the current stage',
  SubmitFeedback: 'at any stage',
  UpdateSession: 'at any stage',
  AbandonSession: 'at any stage',
  ProposeConcepts: '`request_id` is the outstanding request',
  FailConceptGeneration: '`request_id` is the outstanding request',
} as const satisfies Readonly<Record<(typeof SUPPORTED_COMMANDS)[number], string>>;

export const CREATION_EXAMPLE = { title: '星海', idea: 'A generation ship that has forgotten it is one' };

/** The component that describes the body of a command. */
export function bodyName(type: string): string {
  return `${type}Command`;
}

const bodies = SUPPORTED_COMMANDS.map((type) => [type, ref(bodyName(type))] as const);

/** Any of them, told apart by their command_type. */
export const CommandRequest: Json = {
  oneOf: bodies.map(([, body]) => body),
  discriminator: {
    propertyName: 'command_type',
    mapping: Object.fromEntries(bodies.map(([type, { $ref }]) => [type, $ref])),
  },
};

const commandBody: Json = {
  required: true,
  content: {
    'application/json': {
      schema: ref('CommandRequest'),
      examples: Object.fromEntries(
        SUPPORTED_COMMANDS.map((type) => [type, { value: { command_type: type, payload: COMMAND_EXAMPLES[type] } }]),
      ),
    },
  },
};

const OF_SESSION = { session_id: '$request.path.session_id' };
const afterCommand = {
  command: linkTo('readCommand', { ...OF_SESSION, command_id: '$response.body#/command_id' }),
  session: linkTo('readSession', OF_SESSION),
  nextCommand: linkTo('sendCommand', OF_SESSION),
  events: linkTo('listEvents', OF_SESSION),
};

const ofCreated = { session_id: '$response.body#/session_id' };
const created: Answer = {
  description: 'The session',
  content: json('Session'),
  headers: ['Location', 'ETag', 'Idempotency-Replayed'],
  links: {
    session: linkTo('readSession', ofCreated),
    command: linkTo('sendCommand', ofCreated),
    commands: linkTo('listCommands', ofCreated),
    events: linkTo('listEvents', ofCreated),
  },
};

/** The calls that write. */
export const WRITES = {
  createSession: {
    tag: 'sessions',
    summary: 'Create a session',
    description: 'For authors. It begins at the stage CONCEPT_SELECTION, and belongs to whoever created it.',
    headers: ['Idempotency-Key', 'traceparent'],
    body: {
      required: true,
      content: { 'application/json': { schema: ref('CreateSession'), example: CREATION_EXAMPLE } },
    },
    answers: { 201: created },
    errors: ERRORS_OF_COMMANDS,
  },
  sendCommand: {
    tag: 'commands',
    summary: 'Send a command',
    description:
      'Each accepted command becomes events, committed before it is answered. ProposeConcepts and FailConceptGeneration are for agents, the others for authors. Each works only while the session is IN_PROGRESS; besides, RequestConceptGeneration only at stage CONCEPT_SELECTION while no request is outstanding, ConfirmStage only for the current stage, and ProposeConcepts and FailConceptGeneration only for the outstanding request.',
    headers: ['Idempotency-Key', 'If-Match', 'traceparent'],
    body: commandBody,
    answers: {
      200: {
        description: 'Carried out',
        content: json('CommandAnswer', {
          command_id: REQUEST_ID,
          status: 'COMPLETED',
          message: 'Command processed successfully',
        }),
        headers: ['ETag', 'Idempotency-Replayed'],
        links: afterCommand,
      },
      202: {
        description: 'Committed; its result comes later. Location is where to ask for it.',
        content: json('CommandAnswer', {
          command_id: REQUEST_ID,
          status: 'PROCESSING',
          message: 'Command accepted for processing',
        }),
        headers: ['ETag', 'Location', 'Retry-After', 'Idempotency-Replayed'],
        links: afterCommand,
      },
    },
    errors: [
      ...ERRORS_OF_COMMANDS,
      'UNSUPPORTED_COMMAND_TYPE',
      'SESSION_NOT_FOUND',
      'DUPLICATE_COMMAND',
      'STAGE_MISMATCH',
      'SESSION_CLOSED',
      'NOTHING_TO_ANSWER',
      'VERSION_MISMATCH',
    ],
  },
} as const satisfies Readonly<Record<string, Operation>>;
