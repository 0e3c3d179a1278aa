import type { EventRecord } from '../genesis/events.ts';
import type { SessionId } from '../genesis/ids.ts';
import { encodeEnvelope } from '../outbox/envelope.ts';
import { OutboxTail } from './outbox-tail.ts';
import type { OutboxPlace, PlacedEvent, ReconcileStore, RowFacts, TopicLog, TopicRange, TopicRecord } from './ports.ts';
import { identify, type RecordIdentity } from './read-record.ts';
import { RecentRecords } from './recent-records.ts';
import { stranger } from './reconcile.ts';
import { FigureCounts, type ReconcileFigures } from './reconcile-figures.ts';
import { SessionHeads, type StreamPlace } from './session-heads.ts';
import type { StreamFinding } from './stream-findings.ts';
import { findingOf } from './stream-judge.ts';

/** Records that are compared by one statement. */
const STEP = 1_000;
/** Records of each partition that are read before the first window, so that its repetitions are known for what they are. */
const WARM_UP = 10_000n;
/** Sessions and records that are remembered: some 20 MB, and 1.6 MB for each partition. */
const SESSIONS = 100_000;
const RECENT = 100_000;

export interface FollowOptions {
  readonly store: ReconcileStore;
  readonly topic: TopicLog;
  /** Its name: rows of other topics are left out. Undefined: all rows are of this one. */
  readonly topicName?: string;
  readonly partitionOf: (sessionId: SessionId) => number;
  readonly onFinding: (finding: StreamFinding) => void;
  readonly signal: AbortSignal;
}

/** Where an earlier look has ended. */
export interface FollowStart {
  /** What `lastSettled` told before it. */
  readonly after: number;
  /** How far each partition was read; those that are missing begin at their end. */
  readonly ends: ReadonlyMap<number, bigint>;
}

/**
 * Reconciles what is new: each round the records that were committed since the last, and the rows that were settled. Memory is
 * bounded; what an outage interrupts is done in a later round.
 */
export class Follower {
  readonly #options: FollowOptions;
  readonly #counts = new FigureCounts();
  readonly #heads = new SessionHeads(SESSIONS);
  readonly #recent = new RecentRecords(RECENT);
  /** By partition: what was compared. */
  readonly #windows = new Map<number, { readonly from: bigint; next: bigint }>();
  #tail: OutboxTail | null = null;

  constructor(options: FollowOptions) {
    this.#options = options;
  }

  get figures(): ReconcileFigures {
    return this.#counts.figures;
  }

  /**
   * Begins behind what is there now, or where an earlier look has ended.
   *
   * @throws PublisherUnavailable, GenesisError UNAVAILABLE: to be called again
   */
  async begin(start: FollowStart | null): Promise<void> {
    const { store, topic, signal } = this.#options;
    // Before the ends: what is settled now stands before them.
    const after = start?.after ?? (await store.lastSettled());
    const ends = start?.ends ?? new Map<number, bigint>();
    for (const { partition, first, end } of await topic.ranges(signal)) {
      const from = ends.get(partition) ?? end;
      const warm = from - WARM_UP > first ? from - WARM_UP : first;
      for await (const records of topic.read(partition, warm, from, signal)) this.#warmUp(records);
      this.#windows.set(partition, { from, next: from });
    }
    this.#tail = new OutboxTail(store, after);
  }

  #warmUp(records: readonly TopicRecord[]): void {
    for (const record of records) {
      const identity = identify(record);
      if (identity !== null) this.#remember(record, identity);
    }
  }

  /** One round. @throws PublisherUnavailable, GenesisError UNAVAILABLE: the next round does what is left */
  async round(): Promise<void> {
    const { topic, signal } = this.#options;
    const ranges = await topic.ranges(signal);
    this.#measureLag(ranges);
    for (const range of ranges) await this.#readWindow(range);
    await this.#tail?.look((row) => this.#checkRow(row));
    this.#measureLag(ranges);
    this.#counts.lastRoundAt = Date.now();
  }

  #measureLag(ranges: readonly TopicRange[]): void {
    const left = ranges.map(({ partition, end }) => Number(end - (this.#windows.get(partition)?.next ?? 0n)));
    this.#counts.lag = left.reduce((sum, number) => sum + Math.max(0, number), 0);
  }

  async #readWindow({ partition, end }: TopicRange): Promise<void> {
    const { topic, signal } = this.#options;
    const window = this.#windows.get(partition) ?? { from: 0n, next: 0n };
    this.#windows.set(partition, window);
    if (end < window.next) this.#tellCut(partition, window.next, end);
    if (end < window.next) window.next = end;
    for await (const records of topic.read(partition, window.next, end, signal)) {
      for (let from = 0; from < records.length; from += STEP) {
        const step = records.slice(from, from + STEP);
        await this.#compare(step);
        window.next = (step.at(-1)?.offset ?? window.next) + 1n;
      }
    }
    // Offsets behind the last record hold none.
    window.next = end;
  }

  /** All of them, or none when the database is away. */
  async #compare(records: readonly TopicRecord[]): Promise<void> {
    const identities = records.map(identify);
    const places = identities.flatMap((one) => (one === null ? [] : [one]));
    const events = places.length === 0 ? [] : await this.#options.store.eventsAt(places);
    const byPlace = new Map(
      events.map((placed) => [nameOf(placed.event.aggregateId, placed.event.aggregateVersion), placed]),
    );
    for (const [index, record] of records.entries()) {
      const identity = identities[index] ?? null;
      this.#counts.checked += 1;
      if (identity === null) this.#tell(stranger(record));
      else this.#judge(record, identity, byPlace.get(nameOf(identity.sessionId, identity.sequence)) ?? null);
    }
  }

  #judge(record: TopicRecord, identity: RecordIdentity, placed: PlacedEvent | null): void {
    const tell = ({ code, detail }: Verdict) => this.#tell(findingOf(code, { ...identity, ...record }, detail));
    if (placed?.event.eventId !== identity.eventId) return tell(foreign(placed));
    for (const verdict of judgeContent(record, identity, placed)) tell(verdict);
    const place = this.#remember(record, identity);
    const own = this.#options.partitionOf(identity.sessionId);
    const verdict: Verdict | null =
      place === null
        ? { code: 'MISPLACED', detail: `its key belongs to partition ${own}` }
        : judgeOrder(record, place, ofTopic(placed, this.#isHere));
    if (verdict === null) return;
    tell(verdict);
    // Should it come yet, it is late, not repeated.
    if (place?.kind === 'unknown' && verdict.code === 'REORDERED')
      this.#heads.passedOver(identity.sessionId, identity.sequence - 1);
  }

  /** Its place in the stream of its session; null: it is in another partition than its key's. */
  #remember({ partition, offset }: TopicRecord, { sessionId, sequence, eventId }: RecordIdentity): StreamPlace | null {
    this.#recent.add(partition, offset, eventId);
    return this.#options.partitionOf(sessionId) === partition ? this.#heads.place(sessionId, sequence) : null;
  }

  /** Whether nothing about the row is left to be checked. */
  async #checkRow(row: OutboxPlace): Promise<boolean> {
    if (this.#isHere(row)) return this.#checkRowOfTopic(row);
    this.#counts.elsewhere += 1;
    return true;
  }

  /** Whether the row is one of this topic. */
  readonly #isHere = ({ topic }: RowFacts): boolean => {
    const { topicName } = this.#options;
    return topicName === undefined || topic === topicName;
  };

  async #checkRowOfTopic(row: OutboxPlace): Promise<boolean> {
    const { partition, offset, sentAt } = row;
    if (sentAt === null) return false;
    const window = partition === null ? undefined : this.#windows.get(partition);
    if (window === undefined || partition === null || offset === null || offset < window.from) return true;
    if (offset >= window.next) return false;
    const held =
      this.#recent.holds(partition, offset, row.eventId) ?? (await this.#holds(partition, offset, row.eventId));
    const { sessionId, sequence, eventId } = row;
    const detail = 'its row says that it was sent here';
    if (!held) this.#tell({ code: 'LOST', partition, offset, sessionId, sequence, eventId, detail });
    return true;
  }

  async #holds(partition: number, offset: bigint, eventId: string): Promise<boolean> {
    const { topic, signal } = this.#options;
    for await (const records of topic.read(partition, offset, offset + 1n, signal)) {
      if (records.some(({ headers }) => headers.get('ce_id') === eventId)) return true;
    }
    return false;
  }

  #tellCut(partition: number, before: bigint, end: bigint): void {
    const detail = `the partition ends at ${end}, but reached to ${before} before: records were removed, or the topic was made anew`;
    this.#tell({ code: 'LOST', partition, offset: end, sessionId: null, sequence: null, eventId: null, detail });
  }

  #tell(finding: StreamFinding): void {
    this.#counts.add(finding);
    this.#options.onFinding(finding);
  }
}

type Verdict = Pick<StreamFinding, 'code' | 'detail'>;

function foreign(placed: PlacedEvent | null): Verdict {
  const instead = placed === null ? 'no event' : `event ${placed.event.eventId}`;
  return { code: 'FOREIGN', detail: `the database has ${instead} of this sequence` };
}

function judgeContent(record: TopicRecord, identity: RecordIdentity, placed: PlacedEvent): readonly Verdict[] {
  const verdicts: Verdict[] = [];
  if (isAltered(record, identity, placed))
    verdicts.push({ code: 'ALTERED', detail: 'it does not say what the event says' });
  const before = placed.previous?.eventId ?? null;
  if (identity.previous !== before) {
    verdicts.push({ code: 'PREVIOUS', detail: `it names ${identity.previous ?? 'none'}, not ${before ?? 'none'}` });
  }
  return verdicts;
}

/** What rows of other topics say of places means nothing here. */
function ofTopic(placed: PlacedEvent, isHere: (row: RowFacts) => boolean): Order {
  const before = placed.previous?.row ?? null;
  return {
    row: placed.row !== null && isHere(placed.row) ? placed.row : null,
    before,
    beforeNeedsNoRecord: before !== null && (!isHere(before) || needsNoRecord(before)),
  };
}

/** What the rows of an event and of the one before it say of their places. */
interface Order {
  readonly row: RowFacts | null;
  readonly before: RowFacts | null;
  readonly beforeNeedsNoRecord: boolean;
}

function isAltered({ value }: TopicRecord, { marker }: RecordIdentity, { event, row }: PlacedEvent): boolean {
  if (marker) return row !== null && row.status !== 'DISCARDED';
  return value !== encodeEnvelope(event as EventRecord);
}

/** What the record's place in the stream of its session says. */
function judgeOrder(record: TopicRecord, place: StreamPlace, order: Order): Verdict | null {
  switch (place.kind) {
    case 'next':
    case 'late':
      return null;
    case 'repeated':
      return { code: 'DUPLICATED', detail: 'the same event stands before it' };
    case 'ahead':
      return order.beforeNeedsNoRecord
        ? null
        : { code: 'REORDERED', detail: `version ${place.after + 1} does not stand before it` };
    case 'unknown':
      return judgeByRows(record, order);
  }
}

/** The session was not heard of for long: its rows say what there was. */
function judgeByRows({ partition, offset }: TopicRecord, { row, before, beforeNeedsNoRecord }: Order): Verdict | null {
  if (row?.partition === partition && isBefore(row, offset)) {
    return { code: 'DUPLICATED', detail: `the event stands at offset ${row.offset}` };
  }
  if (before === null || beforeNeedsNoRecord || isBefore(before, offset)) return null;
  return { code: 'REORDERED', detail: 'the event before it does not stand before it' };
}

function isBefore(row: RowFacts, offset: bigint): boolean {
  return row.offset !== null && row.offset < offset;
}

/** Before there were markers, a discarded event left a gap: its row was settled without a place. */
function needsNoRecord(row: RowFacts): boolean {
  return row.status === 'DISCARDED' && row.sentAt !== null && row.offset === null;
}

function nameOf(sessionId: string, sequence: number): string {
  return `${sessionId} ${sequence}`;
}
