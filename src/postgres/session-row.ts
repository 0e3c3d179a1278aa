import type { CommandId, EventId, SessionId, UserId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';

/** A row of genesis_sessions as the driver gives it. The table's constraints vouch for what the types say. */
export interface SessionRow {
  readonly session_id: SessionId;
  readonly user_id: UserId;
  readonly status: Session['status'];
  readonly current_stage: Session['currentStage'];
  readonly title: string | null;
  readonly idea: string | null;
  readonly confirmed_data: Session['confirmedData'];
  readonly version: number;
  readonly last_event_id: EventId;
  readonly outstanding_request: CommandId | null;
  readonly outstanding_event: EventId | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}

export function toSession(row: SessionRow): Session {
  const { outstanding_request: requestId, outstanding_event: eventId } = row;
  return {
    sessionId: row.session_id,
    userId: row.user_id,
    status: row.status,
    currentStage: row.current_stage,
    title: row.title,
    idea: row.idea,
    confirmedData: row.confirmed_data,
    version: row.version,
    lastEventId: row.last_event_id,
    outstandingRequest: requestId === null || eventId === null ? null : { requestId, eventId },
    createdAt: row.created_at.getTime(),
    updatedAt: row.updated_at.getTime(),
  };
}
