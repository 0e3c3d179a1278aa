import type { Session } from '../genesis/session.ts';

/** A session as the API shows it. */
export interface SessionBody {
  readonly session_id: string;
  readonly status: Session['status'];
  readonly current_stage: Session['currentStage'];
  readonly title: string | null;
  readonly idea: string | null;
  readonly confirmed_data: Session['confirmedData'];
  readonly version: number;
  /** command_id of the request that waits for its answer; the answer's `request_id`. */
  readonly outstanding_request: string | null;
  /** RFC 3339, UTC, milliseconds. */
  readonly created_at: string;
  readonly updated_at: string;
}

export function sessionBody(session: Session): SessionBody {
  return {
    session_id: session.sessionId,
    status: session.status,
    current_stage: session.currentStage,
    title: session.title,
    idea: session.idea,
    confirmed_data: session.confirmedData,
    version: session.version,
    outstanding_request: session.outstandingRequest?.requestId ?? null,
    created_at: new Date(session.createdAt).toISOString(),
    updated_at: new Date(session.updatedAt).toISOString(),
  };
}

/** The entity tag of a session: its version says all that can change. */
export function etagOf(version: number): string {
  return `"${version}"`;
}
