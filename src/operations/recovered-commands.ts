import type { CommandType } from '../genesis/commands.ts';
import type { EventRecord } from '../genesis/events.ts';
import type { CommandId } from '../genesis/ids.ts';
import type { RecoveredCommand, RecoveredEnd } from './ports.ts';

interface AskedFor {
  readonly type: CommandType;
  readonly payload: Members;
}

type Members = Readonly<Record<string, unknown>>;

/**
 * The commands that caused these events, as far as events tell: an author's command is named by the correlation_id of its events.
 * Whoever answered a request is not: there the correlation_id is the request's.
 *
 * @param events Of any sessions; each session's in the order of their versions.
 */
export function recoveredCommands(events: readonly EventRecord[]): readonly RecoveredCommand[] {
  const commands = new Map<CommandId, RecoveredCommand>();
  for (const event of events) {
    const { correlationId: commandId, aggregateVersion: version } = event;
    const begun = commands.get(commandId);
    const asked = askedFor(event);
    if (begun !== undefined && !isAnswer(event)) commands.set(commandId, { ...begun, lastVersion: version });
    else if (asked !== null) commands.set(commandId, toCommand(event, asked));
  }
  return [...commands.values()];
}

/** The requests that these events end. */
export function recoveredEnds(events: readonly EventRecord[]): readonly RecoveredEnd[] {
  return events.filter(isAnswer).map(({ eventType, correlationId: requestId, payload, occurredAt: at }) => {
    const failed = eventType === 'Genesis.Session.Failed';
    return { requestId, failedBecause: failed ? String(members(payload)['reason']) : null, at };
  });
}

function isAnswer({ eventType }: EventRecord): boolean {
  return eventType === 'Genesis.Session.Proposed' || eventType === 'Genesis.Session.Failed';
}

function toCommand(event: EventRecord, { type, payload }: AskedFor): RecoveredCommand {
  return {
    commandId: event.correlationId,
    sessionId: event.aggregateId,
    userId: String(members(event.metadata)['user_id']),
    commandType: type,
    payload: JSON.stringify(payload),
    status: type === 'RequestConceptGeneration' ? 'PROCESSING' : 'COMPLETED',
    firstVersion: event.aggregateVersion,
    lastVersion: event.aggregateVersion,
    createdAt: event.occurredAt,
  };
}

/** What somebody asked for to bring this event about; null: it is an answer, or follows another event of its command. */
function askedFor({ eventType, payload }: EventRecord): AskedFor | null {
  const { title, idea, stage: _stage, request_id: _request, next_stage: _next, ...rest } = members(payload);
  switch (eventType) {
    case 'Genesis.Session.Created':
      return { type: 'CreateSession', payload: given({ title, idea }) };
    case 'Genesis.Session.Requested':
      return { type: 'RequestConceptGeneration', payload: rest };
    case 'Genesis.Session.Submitted':
      return { type: 'SubmitFeedback', payload: given(rest) };
    case 'Genesis.Session.Confirmed':
      return { type: 'ConfirmStage', payload: { stage: _stage, ...rest } };
    case 'Genesis.Session.Updated':
      return 'status' in rest
        ? { type: 'AbandonSession', payload: given({ reason: rest['reason'] }) }
        : { type: 'UpdateSession', payload: given({ title, idea }) };
    case 'Genesis.Session.Proposed':
    case 'Genesis.Session.Failed':
    case 'Genesis.Session.Finished':
    default:
      return null;
  }
}

function members(json: string): Members {
  return JSON.parse(json) as Members;
}

/** Without what is null or missing. */
function given(values: Members): Members {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null && value !== undefined));
}
