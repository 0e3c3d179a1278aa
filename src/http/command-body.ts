import type { CausedEventFacts, CommandRecord, CommandStatus } from '../events/ports.ts';
import { publicationOf } from '../events/publication.ts';
import type { CommandBody } from './schemas.ts';

/** The words that a command is answered with when it is sent, and their like for what became of it later. */
const MESSAGES = {
  RECEIVED: 'Command accepted for processing',
  PROCESSING: 'Command accepted for processing',
  COMPLETED: 'Command processed successfully',
  FAILED: 'Command failed',
} as const satisfies Record<CommandStatus, string>;

/** Where a command is: its status, its events, and how far each has come on its way to the broker. */
export function commandBody(command: CommandRecord): CommandBody {
  const { status } = command;
  const ended = status === 'COMPLETED' || status === 'FAILED';
  return {
    command_id: command.commandId,
    session_id: command.sessionId,
    command_type: command.commandType,
    status,
    message: MESSAGES[status],
    error: command.errorMessage,
    created_at: timeOf(command.createdAt),
    completed_at: ended ? timeOf(command.updatedAt) : null,
    events: command.events.map(causedEventBody),
  };
}

function causedEventBody({
  eventId,
  eventType,
  aggregateVersion,
  outbox,
}: CausedEventFacts): CommandBody['events'][number] {
  const { status, topic, partition, offset, sentAt, attempts, lastError, heldBy } = publicationOf(outbox);
  return {
    event_id: eventId,
    event_type: eventType,
    aggregate_version: aggregateVersion,
    publication: {
      status,
      topic,
      partition,
      offset,
      sent_at: sentAt === null ? null : timeOf(sentAt),
      attempts,
      last_error: lastError,
      held_by: heldBy,
    },
  };
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}
