import type { CommandId, EventId, SessionId, UserId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';

/** A row of commands/lock-sessions.sql, column by column as PostgreSQL writes it. The table's constraints vouch for what the types say. */
export type LockedRow = readonly [
  sessionId: SessionId,
  userId: UserId,
  status: Session['status'],
  currentStage: Session['currentStage'],
  title: string | null,
  idea: string | null,
  confirmedData: string,
  version: string,
  lastEventId: EventId,
  outstandingRequest: CommandId | null,
  outstandingEvent: EventId | null,
  schemaLevel: string,
  createdAt: string,
  updatedAt: string,
];

export function schemaLevelOf(row: LockedRow): number {
  return Number(row[11]);
}

export function toLockedSession(row: LockedRow): Session {
  const [sessionId, userId, status, currentStage, title, idea, confirmedData, version, lastEventId] = row;
  const [requestId, eventId] = [row[9], row[10]];
  return {
    sessionId,
    userId,
    status,
    currentStage,
    title,
    idea,
    confirmedData: JSON.parse(confirmedData) as Session['confirmedData'],
    version: Number(version),
    lastEventId,
    outstandingRequest: requestId === null || eventId === null ? null : { requestId, eventId },
    createdAt: Math.round(Number(row[12])),
    updatedAt: Math.round(Number(row[13])),
  };
}
