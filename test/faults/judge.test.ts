import { afterEach, beforeEach, expect, test } from 'vitest';
import { Evidence, type OutboxEntry, type TopicEntry } from '../../faults/judge/evidence.ts';
import { judge, type Expectations } from '../../faults/judge/judge.ts';
import { RULES } from '../../faults/judge/rules.ts';

let evidence: Evidence;

beforeEach(() => {
  evidence = new Evidence(':memory:');
});
afterEach(() => evidence.close());

const PARTITION = 3;

const eventId = (session: string, version: number): string => `${session}-event-${version}`;

function headersOf(session: string, version: number): Record<string, string> {
  return { ce_id: eventId(session, version), sequence: String(version) };
}

/** A command that wrote one event. */
function command(session: string, version: number): void {
  const commandId = `${session}-command-${version}`;
  evidence.addClient({ commandId, sessionId: session, outcome: 'accepted', version });
  evidence.addInbox({ commandId, sessionId: session, firstVersion: version, lastVersion: version });
  evidence.addEvent({ eventId: eventId(session, version), sessionId: session, version });
}

let lastRow = 0;

function row(session: string, sequence: number, rest: Partial<OutboxEntry> = {}): void {
  lastRow += 1;
  evidence.addOutbox({
    id: lastRow,
    eventId: eventId(session, sequence),
    key: session,
    sequence,
    shard: PARTITION,
    status: 'SENT',
    payload: `payload of ${session}/${sequence}`,
    headers: headersOf(session, sequence),
    sent: true,
    partition: PARTITION,
    offset: 0,
    ...rest,
  });
}

function record(session: string, sequence: number, offset: number, rest: Partial<TopicEntry> = {}): void {
  evidence.addRecord({
    partition: PARTITION,
    offset,
    key: session,
    value: `payload of ${session}/${sequence}`,
    headers: new Map(Object.entries(headersOf(session, sequence))),
    ...rest,
  });
}

/** Versions 1 and 2 of a session, all as it must be, at offsets 0 and 1. */
function twoEvents(): void {
  for (const version of [1, 2]) {
    command('a', version);
    row('a', version, { offset: version - 1 });
    record('a', version, version - 1);
  }
}

function found(expected?: Expectations): Record<string, number> {
  return Object.fromEntries(judge(evidence, expected).violations.map(({ rule, cases }) => [rule, cases]));
}

test('a run in which all is well is not guilty of anything', () => {
  twoEvents();
  expect(judge(evidence)).toMatchObject({ accepted: 2, events: 2, records: 2, duplicated: 0, violations: [] });
});

test('an event that is not in the topic is lost, and its row says a place where it is not', () => {
  twoEvents();
  command('a', 3);
  row('a', 3, { offset: 2 });
  expect(judge(evidence)).toMatchObject({ lost: 1 });
  expect(found()).toEqual({ lost: 1, mismarked: 1 });
});

test('a committed event that has not even an outbox row is lost', () => {
  twoEvents();
  command('a', 3);
  expect(found()).toEqual({ lost: 1 });
});

test('a record that waits behind a FAILED one is neither lost nor unfinished, where a FAILED one is expected', () => {
  twoEvents();
  command('a', 3);
  row('a', 3, { status: 'FAILED', sent: false, partition: null, offset: null });
  command('a', 4);
  row('a', 4, { status: 'PENDING', sent: false, partition: null, offset: null });
  expect(found({ failed: 1 })).toEqual({});
});

test('a FAILED row that nobody expected is told', () => {
  twoEvents();
  command('b', 1);
  row('b', 1, { status: 'FAILED', sent: false, partition: null, offset: null });
  expect(found()).toEqual({ failed: 1 });
});

test('a row that nothing holds and that is PENDING at the end is unfinished', () => {
  twoEvents();
  command('b', 1);
  row('b', 1, { status: 'PENDING', sent: false, partition: null, offset: null });
  expect(found()).toEqual({ lost: 1, unfinished: 1 });
});

test('a discarded event whose marker was not sent is unfinished', () => {
  twoEvents();
  command('b', 1);
  row('b', 1, { status: 'DISCARDED', sent: false, partition: null, offset: null });
  expect(found()).toEqual({ lost: 1, unfinished: 1 });
});

test('a marker stands for its discarded event', () => {
  twoEvents();
  command('a', 3);
  row('a', 3, { status: 'DISCARDED', offset: 2 });
  record('a', 3, 2, { value: null, headers: new Map(Object.entries({ ...headersOf('a', 3), discarded: 'true' })) });
  expect(found()).toEqual({});
});

test('a marker of an event that was not discarded, or one with a value, is altered', () => {
  twoEvents();
  const marker = new Map(Object.entries({ ...headersOf('a', 3), discarded: 'true' }));
  command('a', 3);
  row('a', 3, { offset: 2 });
  record('a', 3, 2, { value: null, headers: marker });
  command('b', 1);
  row('b', 1, { status: 'DISCARDED', offset: 3 });
  record('b', 1, 3, { headers: new Map(Object.entries({ ...headersOf('b', 1), discarded: 'true' })) });
  expect(found()).toEqual({ altered: 2 });
});

test('two versions in the wrong order are reordered', () => {
  for (const [version, offset] of [
    [1, 0],
    [3, 1],
    [2, 2],
  ] as const) {
    command('a', version);
    row('a', version, { offset });
    record('a', version, offset);
  }
  expect(judge(evidence).reordered).toBe(2);
  expect(found()).toEqual({ reordered: 2 });
});

test('a gap is found even if the event is in no table', () => {
  for (const [version, offset] of [
    [1, 0],
    [3, 1],
  ] as const) {
    command('a', version);
    row('a', version, { offset });
    record('a', version, offset);
  }
  expect(found()).toEqual({ reordered: 1 });
});

test('a copy that comes late is a duplicate, and no disorder', () => {
  twoEvents();
  record('a', 1, 2);
  expect(judge(evidence)).toMatchObject({ duplicated: 1, reordered: 0, violations: [] });
});

test('a duplicate is a violation where none is allowed', () => {
  twoEvents();
  record('a', 2, 2);
  expect(found({ duplicates: 0 })).toEqual({ duplicated: 1 });
});

test('a copy with other bytes is altered', () => {
  twoEvents();
  record('a', 2, 2, { value: 'something else' });
  expect(judge(evidence).altered).toBe(1);
  expect(found()).toEqual({ altered: 1 });
});

test('a record with another key, another header or no value is altered', () => {
  twoEvents();
  record('a', 1, 2, { key: 'b' });
  record('a', 2, 3, { headers: new Map([...Object.entries(headersOf('a', 2)), ['more', 'than it had']]) });
  record('a', 2, 4, { value: null });
  expect(found()).toMatchObject({ altered: 3 });
});

test('the order of headers means nothing', () => {
  twoEvents();
  record('a', 2, 2, { headers: new Map(Object.entries(headersOf('a', 2)).toReversed()) });
  expect(found()).toEqual({});
});

test('a record of no committed event is foreign', () => {
  twoEvents();
  record('a', 3, 2);
  expect(judge(evidence).foreign).toBe(1);
  expect(found()).toEqual({ foreign: 1 });
});

test('a record in another partition than its session is misplaced', () => {
  twoEvents();
  record('a', 2, 9, { partition: PARTITION + 1 });
  expect(found()).toEqual({ misplaced: 1 });
});

test('a row that names the place of another record is mismarked', () => {
  twoEvents();
  command('b', 1);
  row('b', 1, { offset: 1 });
  record('b', 1, 2);
  expect(found()).toEqual({ mismarked: 1 });
});

test('an accepted command without a row, or with other versions than were told, is unkept', () => {
  twoEvents();
  evidence.addClient({ commandId: 'gone', sessionId: 'a', outcome: 'accepted', version: 3 });
  evidence.addClient({ commandId: 'a-command-2', sessionId: 'a', outcome: 'accepted', version: 7 });
  expect(found()).toEqual({ unkept: 2 });
});

test('an inbox row without its event is eventless', () => {
  twoEvents();
  evidence.addInbox({ commandId: 'a-command-3', sessionId: 'a', firstVersion: 3, lastVersion: 3 });
  expect(found()).toEqual({ eventless: 1 });
});

test('a refused command with a row is a ghost; one of unknown outcome may have one', () => {
  twoEvents();
  evidence.addClient({ commandId: 'a-command-1', sessionId: 'a', outcome: 'refused', version: null });
  evidence.addClient({ commandId: 'a-command-2', sessionId: 'a', outcome: 'unknown', version: null });
  expect(judge(evidence)).toMatchObject({ accepted: 0, refused: 1, unknown: 1 });
  expect(found()).toEqual({ ghost: 1 });
});

test('each rule can be broken: these tests break all of them', () => {
  const broken = 'unkept eventless ghost lost foreign reordered misplaced altered mismarked unfinished'.split(' ');
  expect(RULES.map(({ name }) => name)).toEqual(broken);
});

test('a few cases are told, not all', () => {
  for (let offset = 0; offset < 20; offset += 1) record('a', offset + 1, offset);
  const [foreign] = judge(evidence).violations;
  expect(foreign).toMatchObject({ rule: 'foreign', cases: 20 });
  expect(foreign?.examples).toHaveLength(5);
  expect(foreign?.examples[0]).toBe('record 3/0 of a is of event a-event-1, which is in no table');
});
