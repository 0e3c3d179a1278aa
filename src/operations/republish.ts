import { setTimeout as delay } from 'node:timers/promises';
import { encodeEnvelope, recordHeaders } from '../outbox/envelope.ts';
import { shardOf } from '../outbox/shard.ts';
import type { OutgoingRecord, Publisher } from '../relay/ports.ts';
import type { Place, RepublishStore, SelectedEvent, Selection, TopicLog, TopicRange, TopicRecord } from './ports.ts';
import { identify } from './read-record.ts';

/** Milliseconds before what could not be sent is sent again. */
const PAUSE = 1_000;
/** Offsets in which the last record of a partition is looked for at first. */
const LOOK_BACK = 8n;

/** Where a partition of the target ends: the last event that it holds. */
export type Written = ReadonlyMap<number, Place>;

export interface RepublishOptions {
  readonly store: RepublishStore;
  readonly publisher: Publisher;
  readonly selection: Selection;
  readonly topic: string;
  /** Of the target: they decide where a session goes. */
  readonly partitions: number;
  /** What an earlier run has written. */
  readonly written: Written;
  /** @param sent How many records were acknowledged; `passed`: how many events an earlier run had written. */
  readonly onProgress: (sent: number, passed: number) => void;
  /** The broker's words when something could not be sent; it is tried again. */
  readonly onOutage: (error: string) => void;
  /** Ends the work after the batch under way. */
  readonly signal: AbortSignal;
}

export interface RepublishResult {
  readonly sent: number;
  readonly passed: number;
}

/**
 * Publishes events anew, elsewhere: session by session in the order of their ids, each session's events in their order, as the relay
 * would send them. At least once: a batch whose answer was lost is sent again.
 *
 * @throws Error when the broker refuses a record for good; GenesisError UNAVAILABLE; the signal's reason
 */
export async function republish(options: RepublishOptions): Promise<RepublishResult> {
  const { store, selection, written, partitions, signal } = options;
  let [sent, passed] = [0, 0];
  let coming = store.select(selection, firstOf(written, partitions));
  const close = () => void options.publisher.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    for (;;) {
      signal.throwIfAborted();
      const { events, last } = await coming;
      if (last === null) return { sent, passed };
      // The next page is read while this one is sent. Whoever fails meanwhile never looks at it.
      coming = store.select(selection, last);
      coming.catch(() => undefined);
      const records = events
        .map((selected) => ({ selected, record: toRecord(selected, options) }))
        .filter(({ selected, record }) => !isWritten(selected, written.get(record.shard)));
      await send(
        records.map(({ record }) => record),
        options,
      );
      sent += records.length;
      passed += events.length - records.length;
      options.onProgress(sent, passed);
    }
  } finally {
    signal.removeEventListener('abort', close);
  }
}

/** Everything up to here was written, whichever partition it went to; null: nothing is sure to be. */
function firstOf(written: Written, partitions: number): Place | null {
  const places = [...written.values()];
  if (places.length < partitions) return null;
  return places.reduce((first, place) => (comparePlaces(place, first) < 0 ? place : first));
}

function isWritten({ event }: SelectedEvent, last: Place | undefined): boolean {
  const place = { sessionId: event.aggregateId, sequence: event.aggregateVersion };
  return last !== undefined && comparePlaces(place, last) <= 0;
}

function comparePlaces(a: Place, b: Place): number {
  if (a.sessionId !== b.sessionId) return a.sessionId < b.sessionId ? -1 : 1;
  return a.sequence - b.sequence;
}

/** What the relay would send for the event, to another topic. */
function toRecord({ event, discarded }: SelectedEvent, { topic, partitions }: RepublishOptions): OutgoingRecord {
  const { traceparent = null } = JSON.parse(event.metadata) as { readonly traceparent?: string };
  const headers = recordHeaders(event, traceparent);
  return {
    topic,
    key: event.aggregateId,
    shard: shardOf(event.aggregateId, partitions),
    payload: discarded ? null : encodeEnvelope(event),
    headers: discarded ? { ...headers, discarded: 'true' } : headers,
  };
}

/** Sends in order until everything is acknowledged. A partition's records are acknowledged all or none: the rest keeps its order. */
async function send(
  records: readonly OutgoingRecord[],
  { publisher, onOutage, signal }: RepublishOptions,
): Promise<void> {
  for (let left = records; left.length > 0;) {
    const outcomes = await publisher.send(left);
    const unsent: OutgoingRecord[] = [];
    let outage = '';
    for (const [index, record] of left.entries()) {
      const outcome = outcomes[index];
      if (outcome?.kind === 'acknowledged') continue;
      if (outcome?.kind === 'refused') throw new Error(refusal(record, outcome.error));
      unsent.push(record);
      outage = outcome?.error ?? 'no answer';
    }
    signal.throwIfAborted();
    left = unsent;
    if (unsent.length > 0) {
      onOutage(outage);
      await delay(PAUSE, undefined, { signal });
    }
  }
}

function refusal({ topic, key, headers }: OutgoingRecord, error: string): string {
  return `topic ${topic} refuses event ${headers['ce_id']} of session ${key}: ${error}`;
}

/**
 * The last event of each partition of a topic that an earlier run has written to.
 *
 * @throws Error if something else wrote to it
 */
export async function readWritten(topic: TopicLog, signal?: AbortSignal): Promise<Written> {
  const written = new Map<number, Place>();
  for (const range of await topic.ranges(signal)) {
    const last = await lastOf(topic, range, signal);
    if (last !== null) written.set(range.partition, placeOf(last));
  }
  return written;
}

/** The last record of a partition: transactions leave offsets without one. */
async function lastOf(
  topic: TopicLog,
  { partition, first, end }: TopicRange,
  signal: AbortSignal | undefined,
): Promise<TopicRecord | null> {
  for (let back = LOOK_BACK; end > first; back *= LOOK_BACK) {
    const from = end - back > first ? end - back : first;
    let last: TopicRecord | null = null;
    for await (const records of topic.read(partition, from, end, signal)) last = records.at(-1) ?? last;
    if (last !== null || from === first) return last;
  }
  return null;
}

function placeOf(record: TopicRecord): Place {
  const place = identify(record);
  if (place !== null) return { sessionId: place.sessionId, sequence: place.sequence };
  throw new Error(`offset ${record.offset} of partition ${record.partition} is no event: use a topic of its own`);
}
