import type { TSchema } from 'typebox';
import { COMMAND_BODIES, CreateSession } from '../command-schemas.ts';
import {
  DiscardRequest,
  OperatorActionPageSchema,
  OperatorActionSchema,
  OutboxFiguresSchema,
  OutboxPageSchema,
  OutboxRowSchema,
  PauseRequest,
  PauseSchema,
  PreviewRequest,
  PreviewSchema,
  RelaySchema,
  RetryRequest,
  RowActionSchema,
  SessionPublicationSchema,
  ShardSchema,
  ShardTableSchema,
  WaitSchema,
} from '../ops-schemas.ts';
import {
  CommandAnswerSchema,
  CommandListSchema,
  CommandSchema,
  EventListSchema,
  EventSchema,
  LivenessSchema,
  PublicationSchema,
  ReadinessCheckSchema,
  ReadinessSchema,
  SessionListSchema,
  SessionSchema,
} from '../schemas.ts';
import { ref, type Json } from './operation.ts';
import { problemComponents } from './problems.ts';
import { bodyName, COMMAND_WHEN, CommandRequest } from './writes.ts';

/** The schemas that have a name in the document. */
const NAMED: ReadonlyMap<TSchema, string> = new Map<TSchema, string>([
  [SessionSchema, 'Session'],
  [SessionListSchema, 'SessionPage'],
  [CommandSchema, 'Command'],
  [CommandListSchema, 'CommandPage'],
  [PublicationSchema, 'Publication'],
  [EventSchema, 'Event'],
  [EventListSchema, 'EventPage'],
  [CommandAnswerSchema, 'CommandAnswer'],
  [LivenessSchema, 'Liveness'],
  [ReadinessCheckSchema, 'ReadinessCheck'],
  [ReadinessSchema, 'Readiness'],
  [OutboxFiguresSchema, 'OutboxFigures'],
  [OutboxRowSchema, 'OutboxRow'],
  [WaitSchema, 'Wait'],
  [OutboxPageSchema, 'OutboxRowPage'],
  [SessionPublicationSchema, 'SessionPublication'],
  [PreviewRequest, 'PreviewRequest'],
  [RetryRequest, 'RetryRequest'],
  [DiscardRequest, 'DiscardRequest'],
  [PreviewSchema, 'Preview'],
  [RowActionSchema, 'RowAction'],
  [ShardSchema, 'Shard'],
  [RelaySchema, 'Relay'],
  [ShardTableSchema, 'ShardTable'],
  [PauseRequest, 'PauseRequest'],
  [PauseSchema, 'PausedShards'],
  [OperatorActionSchema, 'OperatorAction'],
  [OperatorActionPageSchema, 'OperatorActionPage'],
  [CreateSession, 'CreateSession'],
  ...[...COMMAND_BODIES].map(([type, body]) => [body, bodyName(type)] as const),
]);

/** The schemas of the document by their names: those that validate, and the errors. */
export function componentSchemas(): Readonly<Record<string, Json>> {
  const named = [...NAMED].map(([schema, name]) => [name, membersWithRefs(schema)] as const);
  return { ...Object.fromEntries(named), ...commandBodies(), CommandRequest, ...problemComponents() };
}

/** Each says when it is allowed: its schema alone does not. */
function commandBodies(): Readonly<Record<string, Json>> {
  const bodies = [...COMMAND_BODIES].map(([type, schema]) => {
    const description = `When: ${COMMAND_WHEN[type]}. The session must be in progress.`;
    return [bodyName(type), Object.assign({ description }, membersWithRefs(schema))] as const;
  });
  return Object.fromEntries(bodies);
}

/** A schema in which every part that has a name is a reference. */
function withRefs(value: unknown): Json {
  const name = NAMED.get(value as TSchema);
  return name === undefined ? membersWithRefs(value) : ref(name);
}

function membersWithRefs(value: unknown): Json {
  if (Array.isArray(value)) return value.map(withRefs);
  if (typeof value !== 'object' || value === null) return value as Json;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, withRefs(member)]));
}
