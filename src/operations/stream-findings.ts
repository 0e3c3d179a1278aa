/** Everything that can be wrong between the events and the topic: what it means, and what to do. */
export const STREAM_FINDINGS = {
  LOST: {
    meaning: 'The event counts as published, but the topic does not hold it',
    mend: 'Find out who removed it (retention, deleted records, another cluster), and give consumers the log anew: npx genesis republish --all',
  },
  GAP: {
    meaning: 'The event is not in the topic, though a later one of its session is',
    mend: 'Order was broken: give consumers the session anew: npx genesis republish --session',
  },
  DUPLICATED: {
    meaning: 'The topic holds the event more than once, with the same bytes',
    mend: 'Nothing: at-least-once delivery repeats records after a crash; consumers recognise them by event_id. With exactly-once delivery it is a defect',
  },
  ALTERED: {
    meaning: 'The record does not say what the event says',
    mend: 'Somebody else wrote to the topic, or an event was changed: find out who, and give consumers the session anew: npx genesis republish --session',
  },
  REORDERED: {
    meaning: 'The event stands in the topic before an earlier one of its session',
    mend: 'Order was broken: give consumers the session anew: npx genesis republish --session',
  },
  FOREIGN: {
    meaning: 'The record belongs to no event of the database',
    mend: 'If the database was restored from a backup: npx genesis recover --from-topic; else somebody else writes to the topic',
  },
  MISPLACED: {
    meaning: 'The record is in another partition than its key belongs to',
    mend: 'The topic was given more partitions, or somebody else writes to it',
  },
  PREVIOUS: {
    meaning: 'The header `previous` does not name the event before it',
    mend: 'Somebody else wrote to the topic, or an event was changed: find out who',
  },
  MISMARKED: {
    meaning: 'The outbox row names a place of the topic where the event is not',
    mend: 'The topic was made anew, or the row was changed by hand; whoever asks where the event is gets a wrong answer',
  },
} as const satisfies Readonly<Record<string, { readonly meaning: string; readonly mend: string }>>;

export type StreamFindingCode = keyof typeof STREAM_FINDINGS;

export const STREAM_FINDING_CODES = Object.keys(STREAM_FINDINGS) as readonly StreamFindingCode[];

/** One place where topic and database do not agree. */
export interface StreamFinding {
  readonly code: StreamFindingCode;
  /** Of the record; null if there is none. */
  readonly partition: number | null;
  readonly offset: bigint | null;
  /** Null: the record does not say. */
  readonly sessionId: string | null;
  readonly sequence: number | null;
  readonly eventId: string | null;
  /** What exactly. Never what an author wrote. */
  readonly detail: string;
}
