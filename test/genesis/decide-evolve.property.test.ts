import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decide, decideCreation, type Acceptance, type SessionCommand } from '../../src/genesis/decide.ts';
import { isEventName } from '../../src/genesis/event-names.ts';
import type { RecordedEvent } from '../../src/genesis/events.ts';
import { evolve } from '../../src/genesis/evolve.ts';
import type { Session } from '../../src/genesis/session.ts';
import { aimedAt, anyCommand, OUTSTANDING } from './arbitrary-commands.ts';
import { AUTHOR, commandId, eventId, SESSION } from './given.ts';

/** What a session went through. */
interface Life {
  readonly history: readonly RecordedEvent[];
  readonly states: readonly Session[];
  readonly accepted: readonly { readonly before: Session; readonly acceptance: Acceptance }[];
}

function live(commands: readonly SessionCommand[]): Life {
  const history: RecordedEvent[] = [];
  const states: Session[] = [];
  const accepted: { before: Session; acceptance: Acceptance }[] = [];
  const record = ({ events }: Acceptance) => {
    for (const { event } of events) {
      const version = history.length + 1;
      const next = {
        event,
        eventId: eventId(version),
        sessionId: SESSION,
        version,
        userId: AUTHOR,
        occurredAt: version,
      };
      history.push(next);
      states.push(evolve(states.at(-1) ?? null, next));
    }
  };
  record(decideCreation({ title: 'T' }));
  for (const [index, command] of commands.entries()) {
    const before = current(states);
    const outstanding = before.outstandingRequest?.requestId ?? null;
    const decision = decide(aimedAt(outstanding, command), before, commandId(index));
    if (decision.kind === 'refused') continue;
    accepted.push({ before, acceptance: decision });
    record(decision);
  }
  return { history, states, accepted };
}

function current(states: readonly Session[]): Session {
  const session = states.at(-1);
  if (session === undefined) throw new Error('no session yet');
  return session;
}

const commands = fc.array(anyCommand(fc.constantFrom(OUTSTANDING, OUTSTANDING, OUTSTANDING, commandId(500))), {
  maxLength: 40,
});

/** Checks what holds for whatever commands a session is sent. */
function always(holds: (life: Life) => void): void {
  fc.assert(
    fc.property(commands, (sent) => holds(live(sent))),
    { numRuns: 300 },
  );
}

describe('whatever commands a session is sent', () => {
  it('its versions have no gap and its events can all be folded', () => {
    always(({ history, states }) => {
      expect(states.map((state) => state.version)).toEqual(history.map((_, index) => index + 1));
      expect(current(states).lastEventId).toBe(history.at(-1)?.eventId);
    });
  });

  it('the fold of what was stored is the session', () => {
    always(({ history, states }) => {
      const stored = JSON.parse(JSON.stringify(history)) as readonly RecordedEvent[];
      const session = JSON.parse(JSON.stringify(current(states))) as Session;
      expect(JSON.parse(JSON.stringify(stored.reduce<Session | null>(evolve, null)))).toEqual(session);
    });
  });

  it('its events have official names', () => {
    always(({ history }) => {
      expect(history.map(({ event }) => event.type).filter((name) => !isEventName(name))).toEqual([]);
    });
  });

  it('every request that ends is the outstanding one, and what ends it says which', () => {
    always(({ accepted }) => {
      for (const { before, acceptance } of accepted) {
        const answers = acceptance.events.filter(({ answers }) => answers !== null);
        if (acceptance.ends === null) expect(answers).toEqual([]);
        else {
          expect(acceptance.ends.requestId).toBe(before.outstandingRequest?.requestId);
          expect(answers).toEqual([acceptance.events[0]]);
          expect(answers[0]).toMatchObject({
            answers: acceptance.ends.requestId,
            causedBy: before.outstandingRequest?.eventId,
          });
        }
      }
    });
  });

  it('a request is outstanding only at the stage that asked, and never in a closed session', () => {
    always(({ states }) => {
      for (const state of states) {
        if (state.outstandingRequest === null) continue;
        expect(state).toMatchObject({ status: 'IN_PROGRESS', currentStage: 'CONCEPT_SELECTION' });
      }
    });
  });

  it('it is completed exactly when its last stage was confirmed', () => {
    always(({ states, history }) => {
      const { status, currentStage } = current(states);
      expect(status === 'COMPLETED').toBe(currentStage === 'FINISHED');
      expect(status === 'COMPLETED').toBe(history.at(-1)?.event.type === 'Genesis.Session.Finished');
    });
  });

  it('nothing happens to it after its end', () => {
    always(({ states }) => {
      const closed = states.findIndex(({ status }) => status !== 'IN_PROGRESS');
      expect([-1, states.length - 1]).toContain(closed);
    });
  });
});
