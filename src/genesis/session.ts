import type { CommandId, EventId, SessionId, UserId } from './ids.ts';

/** The stages of a session that an author confirms one after another, in this order. */
export const STAGES = ['CONCEPT_SELECTION', 'STORY_CONCEPTION', 'WORLDVIEW', 'CHARACTERS', 'PLOT_OUTLINE'] as const;

export type Stage = (typeof STAGES)[number];

/** FINISHED is where a session stands after its last stage was confirmed; nobody confirms it. */
export type CurrentStage = Stage | 'FINISHED';

export const SESSION_STATUSES = ['IN_PROGRESS', 'COMPLETED', 'ABANDONED'] as const;
export type SessionStatus = (typeof SESSION_STATUSES)[number];

/** Any JSON object; what an author stores with a confirmed stage. */
export type JsonObject = { readonly [key: string]: JsonValue };
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/**
 * The state of one session: the fold of its events, and what `decide` judges by.
 * The row of genesis_sessions holds exactly this, plus the times that its events carry.
 */
export interface Session {
  readonly sessionId: SessionId;
  readonly userId: UserId;
  readonly status: SessionStatus;
  readonly currentStage: CurrentStage;
  readonly title: string | null;
  readonly idea: string | null;
  /** What was confirmed, by stage. */
  readonly confirmedData: { readonly [stage in Stage]?: JsonObject };
  /** aggregate_version of the last event; 1, 2, 3 … without a gap. */
  readonly version: number;
  /** The last event: the `previous` of the next one. */
  readonly lastEventId: EventId;
  /** The RequestConceptGeneration that waits for its answer, and the event that asked. */
  readonly outstandingRequest: { readonly requestId: CommandId; readonly eventId: EventId } | null;
  /** Times of the first and the last event, by the database's clock, in milliseconds since the epoch. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The stage that follows the confirmation of `stage`. */
export function stageAfter(stage: Stage): CurrentStage {
  return STAGES[STAGES.indexOf(stage) + 1] ?? 'FINISHED';
}
