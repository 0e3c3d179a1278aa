import { describe, expect, it } from 'vitest';
import { recordEvents } from '../../src/commands/record-events.ts';
import { decide, decideCreation, type Acceptance } from '../../src/genesis/decide.ts';
import {
  byTheCommand,
  byTheEventBefore,
  confirmed,
  confirmStage,
  created,
  eventId as storedEventId,
  finished,
  proposeConcepts,
  reached,
  REQUEST,
  requested,
  sessionAfter,
  updateSession,
} from '../genesis/given.ts';
import { AGENT, batchSettings, create, eventId, send } from './requests.ts';

const NOW = 50_000;
const { sessionId } = sessionAfter(created());

function acceptance(command: Parameters<typeof decide>[0], session = sessionAfter(created())): Acceptance {
  const decision = decide(command, session, REQUEST);
  if (decision.kind === 'refused') throw new Error(decision.refusal.code);
  return decision;
}

describe('the events of a command', () => {
  it('get ids and versions, their time, and payload and metadata encoded once', () => {
    const request = create({ traceparent: '00-a-b-01' }, { title: '星海' });
    const { session, events } = recordEvents(
      request,
      decideCreation({ title: '星海' }),
      null,
      NOW,
      batchSettings().newId,
    );
    expect(events).toStrictEqual([
      {
        eventId: eventId(1),
        eventType: 'Genesis.Session.Created',
        eventVersion: 1,
        aggregateId: request.sessionId,
        aggregateVersion: 1,
        payload: '{"title":"星海","idea":null}',
        metadata: '{"user_id":"ann","source_service":"genesis-api","traceparent":"00-a-b-01"}',
        correlationId: request.commandId,
        causationId: request.commandId,
        previous: null,
        occurredAt: NOW,
      },
    ]);
    expect(session).toMatchObject({ version: 1, userId: 'ann', lastEventId: eventId(1), createdAt: NOW });
  });

  it('carry no trace if the command came without', () => {
    const update = send(updateSession(), sessionId);
    const { events } = recordEvents(
      update,
      acceptance(updateSession()),
      sessionAfter(created()),
      NOW,
      batchSettings().newId,
    );
    expect(events[0]?.metadata).toBe('{"user_id":"ann","source_service":"genesis-api"}');
  });

  it('follow each other: version, previous, and what caused what', () => {
    const before = sessionAfter(...reached('PLOT_OUTLINE'));
    const request = send(confirmStage('PLOT_OUTLINE'), sessionId);
    const { session, events } = recordEvents(
      request,
      acceptance(confirmStage('PLOT_OUTLINE'), before),
      before,
      NOW,
      batchSettings().newId,
    );
    expect(
      events.map(({ aggregateVersion, previous, causationId }) => ({ aggregateVersion, previous, causationId })),
    ).toEqual([
      { aggregateVersion: 6, previous: storedEventId(5), causationId: request.commandId },
      { aggregateVersion: 7, previous: eventId(1), causationId: eventId(1) },
    ]);
    expect(session).toMatchObject({ version: 7, lastEventId: eventId(2), status: 'COMPLETED' });
  });

  it('that answer a request are correlated with it and caused by its event', () => {
    const before = sessionAfter(created(), requested());
    const request = send(proposeConcepts(), sessionId, { actor: AGENT });
    const { events } = recordEvents(request, acceptance(proposeConcepts(), before), before, NOW, batchSettings().newId);
    expect(events).toMatchObject([{ correlationId: REQUEST, causationId: storedEventId(2) }]);
  });

  it('never run backwards in time, even if the clock does', () => {
    const before = { ...sessionAfter(created()), updatedAt: NOW + 7 };
    const { session, events } = recordEvents(
      send(updateSession(), sessionId),
      acceptance(updateSession()),
      before,
      NOW,
      batchSettings().newId,
    );
    expect(events[0]?.occurredAt).toBe(NOW + 7);
    expect(session.updatedAt).toBe(NOW + 7);
  });

  it('all have one time', () => {
    const twice = {
      ...decideCreation({}),
      events: [byTheCommand(created()), byTheCommand(confirmed('CONCEPT_SELECTION')), byTheEventBefore(finished())],
    } as const;
    const { events } = recordEvents(create(), twice, null, NOW, batchSettings().newId);
    expect(events.map(({ occurredAt }) => occurredAt)).toEqual([NOW, NOW, NOW]);
  });

  it('are at least one', () => {
    const nothing = { ...decideCreation({}), events: [] } as unknown as Acceptance;
    expect(() => recordEvents(create(), nothing, null, NOW, batchSettings().newId)).toThrow('at least one event');
  });
});
