import type { EventId } from '../genesis/ids.ts';
import type { OutboxFacts } from './ports.ts';

/**
 * Where an event is on its way to the broker, in the words of whoever waits for it: `held` is a pending row that may not go
 * before an earlier one of its session.
 */
export const PUBLICATION_STATUSES = ['pending', 'sent', 'failed', 'held', 'discarded'] as const;
export type PublicationStatus = (typeof PUBLICATION_STATUSES)[number];

export interface Publication {
  readonly status: PublicationStatus;
  readonly topic: string | null;
  readonly partition: number | null;
  readonly offset: number | null;
  /** Milliseconds since the epoch. */
  readonly sentAt: number | null;
  /** Answers of the broker so far: refusals that counted, and the acknowledgement. Null once nobody knows. */
  readonly attempts: number | null;
  /** The broker's words at the last refusal. */
  readonly lastError: string | null;
  /** The event it may not overtake; null unless `held`. */
  readonly heldBy: EventId | null;
}

/** The clean-up removes only rows that were sent, or whose marker was. */
const CLEANED_UP: Publication = {
  status: 'sent',
  topic: null,
  partition: null,
  offset: null,
  sentAt: null,
  attempts: null,
  lastError: null,
  heldBy: null,
};

/** Tells an outbox row, or its absence. */
export function publicationOf(outbox: OutboxFacts | null): Publication {
  if (outbox === null) return CLEANED_UP;
  const { topic, partition, offset, sentAt, lastError, blockedBy } = outbox;
  const status = statusOf(outbox);
  const heldBy = status === 'held' ? blockedBy : null;
  return { status, topic, partition, offset, sentAt, attempts: attemptsOf(outbox), lastError, heldBy };
}

function statusOf({ status, blockedBy }: OutboxFacts): PublicationStatus {
  switch (status) {
    case 'PENDING':
      return blockedBy === null ? 'pending' : 'held';
    case 'SENT':
      return 'sent';
    case 'FAILED':
      return 'failed';
    case 'DISCARDED':
      return 'discarded';
  }
}

/** retry_count counts the retries that were granted; the try that ended the row, by an acknowledgement or for good, is one more. */
function attemptsOf({ status, retryCount }: OutboxFacts): number {
  return status === 'SENT' || status === 'FAILED' ? retryCount + 1 : retryCount;
}
