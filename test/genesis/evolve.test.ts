import { describe, expect, it } from 'vitest';
import type { DomainEvent } from '../../src/genesis/events.ts';
import { evolve } from '../../src/genesis/evolve.ts';
import { STAGES, stageAfter } from '../../src/genesis/session.ts';
import {
  abandoned,
  AUTHOR,
  completedSession,
  confirmed,
  created,
  eventId,
  finished,
  happened,
  proposed,
  reached,
  recorded,
  REQUEST,
  requested,
  requestFailed,
  SESSION,
  sessionAfter,
} from './given.ts';

describe('the first event', () => {
  it('makes a session at the first stage that belongs to its author', () => {
    expect(sessionAfter(created({ title: '星海', idea: 'A ship' }))).toStrictEqual({
      sessionId: SESSION,
      userId: AUTHOR,
      status: 'IN_PROGRESS',
      currentStage: 'CONCEPT_SELECTION',
      title: '星海',
      idea: 'A ship',
      confirmedData: {},
      version: 1,
      lastEventId: eventId(1),
      outstandingRequest: null,
      createdAt: 1_000,
      updatedAt: 1_000,
    });
  });

  it.each([requested(), proposed(), confirmed('CONCEPT_SELECTION'), finished(), abandoned()])(
    'cannot be $type',
    (event) => {
      expect(() => sessionAfter(event)).toThrow(`session ${SESSION}: ${event.type} cannot be its first event`);
    },
  );
});

describe('every later event', () => {
  it('moves version, last event and time of the session, and nothing of its beginning', () => {
    const submitted = happened('Genesis.Session.Submitted', {
      stage: 'CONCEPT_SELECTION',
      feedback: 'x',
      target: null,
    });
    const before = sessionAfter(created());
    expect(sessionAfter(created(), submitted)).toStrictEqual({
      ...before,
      version: 2,
      lastEventId: eventId(2),
      updatedAt: 2_000,
    });
  });

  it('cannot create the session again', () => {
    expect(() => sessionAfter(created(), created())).toThrow(`session ${SESSION}: created twice`);
  });

  it('leaves the session before it untouched', () => {
    const before = sessionAfter(created());
    const frozen = structuredClone(before);
    const [, second] = recorded(created(), confirmed('CONCEPT_SELECTION', { a: 1 }));
    if (second === undefined) throw new Error('two events were recorded');
    evolve(before, second);
    expect(before).toStrictEqual(frozen);
  });
});

describe('versions', () => {
  const [first, second, third] = recorded(created(), requested(), proposed());

  it.each([
    ['a gap', first, third, 'version 3 cannot follow 1'],
    ['a repetition', first, first, 'version 1 cannot follow 1'],
    ['a beginning in the middle', null, second, 'version 2 cannot follow 0'],
  ])('refuse %s', (_, before, after, message) => {
    const session = before === null || before === undefined ? null : evolve(null, before);
    if (after === undefined) throw new Error('three events were recorded');
    expect(() => evolve(session, after)).toThrow(`session ${SESSION}: ${message}`);
  });
});

describe('a request', () => {
  it('is outstanding from the event that asked', () => {
    expect(sessionAfter(created(), requested()).outstandingRequest).toStrictEqual({
      requestId: REQUEST,
      eventId: eventId(2),
    });
  });

  it.each([proposed(), requestFailed('late')])('is no longer outstanding after $type', (answer) => {
    expect(sessionAfter(created(), requested(), answer).outstandingRequest).toBeNull();
  });

  it('stays outstanding while the session changes otherwise', () => {
    const session = sessionAfter(created(), requested(), happened('Genesis.Session.Updated', { title: 'B' }));
    expect(session.outstandingRequest).toStrictEqual({ requestId: REQUEST, eventId: eventId(2) });
  });
});

describe('a confirmation', () => {
  it('moves to the next stage and keeps the data of each stage', () => {
    const session = sessionAfter(
      created(),
      confirmed('CONCEPT_SELECTION', { a: 1 }),
      confirmed('STORY_CONCEPTION', { b: [null, 'x'] }),
    );
    expect(session.currentStage).toBe('WORLDVIEW');
    expect(session.confirmedData).toStrictEqual({ CONCEPT_SELECTION: { a: 1 }, STORY_CONCEPTION: { b: [null, 'x'] } });
    expect(session.status).toBe('IN_PROGRESS');
  });

  it('of the last stage leaves nothing to confirm, and the next event completes the session', () => {
    const session = sessionAfter(...completedSession());
    expect(session).toMatchObject({ currentStage: 'FINISHED', status: 'COMPLETED', version: 7 });
    expect(Object.keys(session.confirmedData)).toEqual([...STAGES]);
  });
});

describe('an update', () => {
  const before = created({ title: 'A', idea: 'A ship' });
  it.each<[string, DomainEvent, object]>([
    ['the title alone', happened('Genesis.Session.Updated', { title: 'B' }), { title: 'B', idea: 'A ship' }],
    ['the idea alone', happened('Genesis.Session.Updated', { idea: 'A sea' }), { title: 'A', idea: 'A sea' }],
    ['the status alone', abandoned(), { title: 'A', idea: 'A ship', status: 'ABANDONED' }],
  ])('changes %s', (_, event, expected) => {
    expect(sessionAfter(before, event)).toStrictEqual({
      ...sessionAfter(before),
      version: 2,
      lastEventId: eventId(2),
      updatedAt: 2_000,
      ...expected,
    });
  });
});

describe('the stages', () => {
  it('follow each other in the order they are listed, to the end', () => {
    expect(STAGES.map(stageAfter)).toEqual([...STAGES.slice(1), 'FINISHED']);
    expect(reached('PLOT_OUTLINE')).toHaveLength(5);
  });
});
