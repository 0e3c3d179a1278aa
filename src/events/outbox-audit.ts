import type { EventRecord } from '../genesis/events.ts';
import type { EventId } from '../genesis/ids.ts';
import type { AuditedEvent, HistoryEvent, OutboxCopy, Wire } from './ports.ts';
import type { Finding, FindingCode } from './findings.ts';
import { metadataOf } from './fold.ts';

/** What follows from the event whatever became of the row. */
const FIXED = ['payload', 'headers'] as const;

/** What is known besides the events: when `now` is, and for how long published rows are certainly kept, in milliseconds. */
export interface Retention {
  readonly now: number;
  readonly retention: number;
}

/**
 * Compares the events of one session, given in version order, with their outbox rows.
 *
 * A row may be missing only when the clean-up has removed it, which takes published rows after the retention. So a missing row
 * is a loss if its event is younger than the retention, or if an earlier event of the session still waits to be published: then
 * this one cannot have been, for a session's events go out in order.
 */
export class OutboxAudit {
  readonly #wire: Wire;
  readonly #retention: Retention;
  readonly #found: (finding: Finding) => void;
  #previous: EventId | null = null;
  #waiting: number | null = null;

  constructor(wire: Wire, retention: Retention, found: (finding: Finding) => void) {
    this.#wire = wire;
    this.#retention = retention;
    this.#found = found;
  }

  add({ event, outbox }: AuditedEvent): void {
    if (outbox === null) this.#judgeMissing(event);
    else this.#judgeRow(event, outbox);
    this.#previous = event.eventId;
  }

  #judgeMissing(event: HistoryEvent): void {
    const age = this.#retention.now - event.occurredAt;
    if (this.#waiting !== null) {
      this.#tell('OUTBOX_MISSING', event, `version ${this.#waiting} before it is not yet published`);
    } else if (age < this.#retention.retention) {
      this.#tell('OUTBOX_MISSING', event, 'it is younger than the retention of published rows');
    }
  }

  #judgeRow(event: HistoryEvent, row: OutboxCopy): void {
    const unpublished = row.status === 'PENDING' || row.status === 'FAILED';
    if (unpublished) this.#waiting ??= event.aggregateVersion;
    const expected = this.#rowOf(event);
    // Where a published row went is history: the number of shards may have been another then.
    const members = unpublished ? ([...FIXED, 'shard'] as const) : FIXED;
    const wrong = members.filter((member) => row[member] !== expected[member]);
    if (wrong.length > 0) this.#tell('OUTBOX_DIFFERS', event, `${wrong.join(', ')} of the ${row.status} row`);
    if (row.stuck)
      this.#tell('OUTBOX_STUCK', event, 'PENDING below the floor of its shard, and its session is not on hold');
  }

  #rowOf(event: HistoryEvent): Omit<OutboxCopy, 'status' | 'stuck'> {
    // The wire knows nothing of what types there are: a newer program's event is encoded like any other.
    const record = { ...event, previous: this.#previous } as EventRecord;
    const { traceparent = null } = metadataOf(event);
    return {
      payload: this.#wire.value(record),
      headers: JSON.stringify(this.#wire.headers(record, traceparent)),
      shard: this.#wire.shard(event.aggregateId),
    };
  }

  #tell(code: FindingCode, event: HistoryEvent, detail: string): void {
    this.#found({ code, sessionId: event.aggregateId, detail: `version ${event.aggregateVersion}: ${detail}` });
  }
}
