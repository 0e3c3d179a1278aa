import type { EventRecord } from '../genesis/events.ts';
import type { SessionId } from '../genesis/ids.ts';
import { encodeEnvelope } from '../outbox/envelope.ts';
import type { LoggedEvent, RowFacts } from './ports.ts';
import { digest, type RecordEntry } from './record-entry.ts';
import type { RecordIdentity } from './read-record.ts';
import type { StreamFinding, StreamFindingCode } from './stream-findings.ts';

/** What was read of a partition. */
export interface ReadRange {
  readonly from: bigint;
  /** Not included. */
  readonly to: bigint;
}

export interface JudgeScope {
  /** By partition. */
  readonly ranges: ReadonlyMap<number, ReadRange>;
  /** Whether all partitions were read from their beginning. */
  readonly whole: boolean;
  /** The partition of a session's records. */
  readonly partitionOf: (sessionId: SessionId) => number;
  /** Milliseconds since the epoch, by the database's clock, before the ends of the partitions were asked for. */
  readonly startedAt: number;
  /** Name of the topic; undefined: every row is one of it. */
  readonly topicName?: string;
}

export interface StreamCounts {
  readonly events: number;
  readonly records: number;
  /** Events that are in the topic. */
  readonly published: number;
  /** Records that stand for discarded events. */
  readonly markers: number;
  /** Events that are still to be published. */
  readonly pending: number;
  /** Published, but not yet marked so. */
  readonly unmarked: number;
  /** Events whose rows are of other topics: where those say they are is not looked at. */
  readonly elsewhere: number;
}

/** The event that is looked at, and what was found of it so far. */
interface Current extends LoggedEvent {
  readonly previous: string | null;
  readonly partition: number;
  readonly inScope: boolean;
  /** Its row belongs to another topic. */
  readonly elsewhere: boolean;
  digest: bigint | null;
  records: number;
  /** Where it stands first, in its own partition. */
  first: bigint | null;
  /** Whether one of the records is where the row says. */
  atItsPlace: boolean;
}

/** Events that follow each other and are not in the topic. */
interface Absence {
  /** The first of them. */
  readonly event: LoggedEvent['event'];
  count: number;
}

/**
 * Compares events with their records, both given in the order of (session, sequence). Keeps nothing but the session at hand.
 * Its rules are in docs/operations/reconcile.md.
 */
export class StreamJudge {
  readonly #scope: JudgeScope;
  readonly #tell: (finding: StreamFinding) => void;
  readonly #counts = { events: 0, records: 0, published: 0, markers: 0, pending: 0, unmarked: 0, elsewhere: 0 };
  #current: Current | null = null;
  #last: { readonly sessionId: SessionId; readonly eventId: string; readonly partition: number } | null = null;
  /** Where the nearest earlier event of the session stands that is in the topic. */
  #before: bigint | null = null;
  /** Events of the session that were not found since, and need not be: unless a later one is. */
  #absent: Absence | null = null;

  constructor(scope: JudgeScope, tell: (finding: StreamFinding) => void) {
    this.#scope = scope;
    this.#tell = tell;
  }

  get counts(): StreamCounts {
    return { ...this.#counts };
  }

  /** A record at whose place there is no event. */
  foreign(entry: RecordEntry): void {
    this.#counts.records += 1;
    this.#report('FOREIGN', entry, 'the session has no event of this sequence');
  }

  begin(logged: LoggedEvent): void {
    const { aggregateId } = logged.event;
    const last = this.#last?.sessionId === aggregateId ? this.#last : null;
    if (last === null) {
      this.#before = null;
      this.#absent = null;
    }
    const previous = last?.eventId ?? null;
    const partition = last?.partition ?? this.#scope.partitionOf(aggregateId);
    const inScope = this.#scope.ranges.has(partition);
    const { topicName } = this.#scope;
    const elsewhere = topicName !== undefined && logged.row !== null && logged.row.topic !== topicName;
    const nothing = { digest: null, records: 0, first: null, atItsPlace: false };
    this.#current = { ...logged, previous, partition, inScope, elsewhere, ...nothing };
  }

  /** A record at the place of the event that was begun; lowest partition and offset first. */
  record(entry: RecordEntry): void {
    const current = this.#current;
    if (current === null) throw new Error('a record is judged beside its event');
    this.#counts.records += 1;
    if (entry.eventId !== current.event.eventId) {
      return this.#report('FOREIGN', entry, `the database has event ${current.event.eventId} of this sequence`);
    }
    if (entry.marker) this.#counts.markers += 1;
    this.#judgeRecord(entry, current);
    const { row, partition } = current;
    current.atItsPlace ||= row?.partition === entry.partition && row.offset === entry.offset;
    if (entry.partition === partition) current.first ??= entry.offset;
    current.records += 1;
  }

  /** Everything about the event that was begun has been told. */
  end(): void {
    const current = this.#current;
    if (current === null) throw new Error('an event is ended that was not begun');
    this.#current = null;
    const { aggregateId: sessionId, eventId } = current.event;
    this.#last = { sessionId, eventId, partition: current.partition };
    if (!current.inScope && current.records === 0) return;
    this.#counts.events += 1;
    if (current.elsewhere) this.#counts.elsewhere += 1;
    if (current.records === 0) this.#judgeAbsent(current);
    else this.#judgePresent(current);
  }

  #judgeRecord(entry: RecordEntry, current: Current): void {
    const altered = this.#alteration(entry, current);
    if (altered !== null) this.#report('ALTERED', entry, altered);
    else if (current.records > 0) this.#report('DUPLICATED', entry, 'the same event stands before it');
    if (entry.previous !== current.previous) {
      this.#report('PREVIOUS', entry, `it names ${entry.previous ?? 'none'}, not ${current.previous ?? 'none'}`);
    }
    if (entry.partition !== current.partition) {
      this.#report('MISPLACED', entry, `its key belongs to partition ${current.partition}`);
    }
  }

  #alteration({ marker, digest: found }: RecordEntry, current: Current): string | null {
    if (marker) {
      const { row } = current;
      const discarded = row === null || row.status === 'DISCARDED';
      return discarded ? null : `it says that the event was discarded, but its row is ${row.status}`;
    }
    current.digest ??= digest(encodeEnvelope(current.event as EventRecord));
    if (found === null) return 'it has no value';
    return found === current.digest ? null : 'its value has other bytes';
  }

  #judgePresent(current: Current): void {
    const { event, first, partition } = current;
    this.#counts.published += 1;
    this.#judgeMark(current);
    if (this.#absent !== null) this.#tellGap(this.#absent, event);
    if (first === null) return;
    if (this.#before !== null && first < this.#before) {
      const detail = `the event before it stands at offset ${this.#before}`;
      this.#tell({ ...placeless('REORDERED', event), partition, offset: first, detail });
    }
    this.#before = first;
  }

  #judgeMark(current: Current): void {
    const { row, elsewhere, atItsPlace } = current;
    // The place is one of another topic.
    if (row === null || elsewhere) return;
    if (row.sentAt === null) this.#counts.unmarked += 1;
    if (!atItsPlace && this.#isRead(row)) {
      this.#reportEvent('MISMARKED', current, `its row says partition ${row.partition}, offset ${row.offset}`);
    }
  }

  /** What was taken for pending has been overtaken. */
  #tellGap({ event, count }: Absence, overtaker: LoggedEvent['event']): void {
    this.#absent = null;
    this.#counts.pending -= count;
    const more = count === 1 ? '' : ` and ${count - 1} more`;
    const detail = `version ${overtaker.aggregateVersion} is in the topic, this${more} is not`;
    this.#tell({ ...placeless('GAP', event), detail });
  }

  #judgeAbsent(current: Current): void {
    const { event, row, elsewhere } = current;
    if (elsewhere) return;
    if (this.#mustBeThere(current)) return this.#reportEvent('LOST', current, whyExpected(row));
    // Before there were markers, a discarded event left a gap: its row was settled without a place.
    if (row?.status === 'DISCARDED' && row.sentAt !== null) return;
    this.#counts.pending += 1;
    if (!this.#scope.whole) return;
    if (this.#absent === null) this.#absent = { event, count: 1 };
    else this.#absent.count += 1;
  }

  #mustBeThere({ event, row, inScope }: Current): boolean {
    if (!inScope) return false;
    if (row === null) return this.#scope.whole && event.occurredAt < this.#scope.startedAt;
    if (row.sentAt === null) return false;
    if (row.partition !== null && row.offset !== null) return this.#isRead(row);
    return row.status === 'SENT' && this.#scope.whole && row.sentAt < this.#scope.startedAt;
  }

  /** Whether the place that the row names was read. */
  #isRead({ partition, offset }: RowFacts): boolean {
    const range = partition === null ? undefined : this.#scope.ranges.get(partition);
    return range !== undefined && offset !== null && offset >= range.from && offset < range.to;
  }

  #report(code: StreamFindingCode, entry: RecordEntry, detail: string): void {
    this.#tell(findingOf(code, entry, detail));
  }

  #reportEvent(code: StreamFindingCode, { event, row }: LoggedEvent, detail: string): void {
    const { partition = null, offset = null } = row ?? {};
    this.#tell({ ...placeless(code, event), partition, offset, detail });
  }
}

function whyExpected(row: RowFacts | null): string {
  if (row === null) return 'its row was cleaned up';
  const where = row.partition === null ? '' : ` at partition ${row.partition}, offset ${row.offset}`;
  return `its row says that it was sent${where}`;
}

/** A finding about a record. */
export function findingOf(
  code: StreamFindingCode,
  record: RecordIdentity & Pick<RecordEntry, 'partition' | 'offset'>,
  detail: string,
): StreamFinding {
  const { partition, offset, sessionId, sequence, eventId } = record;
  return { code, partition, offset, sessionId, sequence, eventId, detail };
}

function placeless(code: StreamFindingCode, event: LoggedEvent['event']): Omit<StreamFinding, 'detail'> {
  const { aggregateId: sessionId, aggregateVersion: sequence, eventId } = event;
  return { code, partition: null, offset: null, sessionId, sequence, eventId };
}
