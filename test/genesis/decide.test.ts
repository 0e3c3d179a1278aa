import { describe, expect, it } from 'vitest';
import { decideCreation, SUPERSEDED, type SessionCommand } from '../../src/genesis/decide.ts';
import type { DomainEvent } from '../../src/genesis/events.ts';
import { STAGES } from '../../src/genesis/session.ts';
import {
  abandoned,
  abandonSession,
  answering,
  byTheCommand,
  byTheEventBefore,
  COMMAND,
  commandId,
  completed,
  completedSession,
  confirmed,
  confirmStage,
  created,
  failed,
  failGeneration,
  finished,
  given,
  happened,
  proposeConcepts,
  proposed,
  reached,
  REQUEST,
  requestConcepts,
  requested,
  requestFailed,
  submitFeedback,
  updateSession,
} from './given.ts';

const inCharacters = reached('CHARACTERS');
const atTheLastStage = reached('PLOT_OUTLINE');

describe('CreateSession', () => {
  it('begins a session with what the author wrote', () => {
    expect(decideCreation({ title: '星海', idea: 'A ship' })).toStrictEqual({
      kind: 'accepted',
      events: [byTheCommand(created({ title: '星海', idea: 'A ship' }))],
      status: 'COMPLETED',
      ends: null,
    });
  });

  it('records as null what the author left open', () => {
    expect(decideCreation({}).events).toStrictEqual([byTheCommand(created({ title: null, idea: null }))]);
  });
});

describe('RequestConceptGeneration', () => {
  it('asks for concepts under its own id, and stays PROCESSING', () => {
    given(created())
      .when(requestConcepts())
      .causes([byTheCommand(requested(COMMAND))], { status: 'PROCESSING' });
  });

  it('may ask again after an answer', () => {
    given(created(), requested(), proposed())
      .when(requestConcepts())
      .causes([byTheCommand(requested(COMMAND))], { status: 'PROCESSING' });
  });

  it('may ask again after a failure', () => {
    given(created(), requested(), requestFailed('no idea'))
      .when(requestConcepts())
      .causes([byTheCommand(requested(COMMAND))], { status: 'PROCESSING' });
  });

  it('is refused while a request is outstanding, and told which', () => {
    given(created(), requested())
      .when(requestConcepts())
      .isRefused({ code: 'DUPLICATE_COMMAND', duplicateCommandId: REQUEST });
  });

  it.each(STAGES.slice(1))('is refused at %s', (currentStage) => {
    given(...reached(currentStage))
      .when(requestConcepts())
      .isRefused({ code: 'STAGE_MISMATCH', currentStage });
  });
});

describe('ProposeConcepts', () => {
  it('answers the outstanding request and completes it', () => {
    given(created(), requested())
      .when(proposeConcepts())
      .causes([answering(proposed(), 2)], { ends: completed(REQUEST) });
  });

  it('is caused by the event that asked, however much happened since', () => {
    given(created(), requested(), happened('Genesis.Session.Updated', { title: 'B' }))
      .when(proposeConcepts())
      .causes([answering(proposed(), 2)], { ends: completed(REQUEST) });
  });

  it('takes the id of the request in capitals, and records it as it is', () => {
    given(created(), requested())
      .when(proposeConcepts(REQUEST.toUpperCase()))
      .causes([answering(proposed(REQUEST), 2)], { ends: completed(REQUEST) });
  });

  it('is refused when another request is outstanding, and told which', () => {
    given(created(), requested())
      .when(proposeConcepts(commandId(8)))
      .isRefused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: REQUEST });
  });

  it.each<[string, readonly DomainEvent[]]>([
    ['nobody asked', [created()]],
    ['it was answered already', [created(), requested(), proposed()]],
    ['it has failed', [created(), requested(), requestFailed('late')]],
    [
      'its stage was confirmed',
      [created(), requested(), requestFailed(SUPERSEDED), ...reached('STORY_CONCEPTION').slice(1)],
    ],
  ])('is refused when %s', (_, history) => {
    given(...history)
      .when(proposeConcepts())
      .isRefused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null });
  });
});

describe('FailConceptGeneration', () => {
  it('ends the outstanding request with its reason', () => {
    given(created(), requested())
      .when(failGeneration('the model is away'))
      .causes([answering(requestFailed('the model is away'), 2)], { ends: failed(REQUEST, 'the model is away') });
  });

  it('is refused when the request is not the outstanding one', () => {
    given(created(), requested(commandId(8)))
      .when(failGeneration('late'))
      .isRefused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: commandId(8) });
  });

  it('is refused when nothing is outstanding', () => {
    given(created()).when(failGeneration('late')).isRefused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null });
  });
});

describe('SubmitFeedback', () => {
  it('records the feedback with the stage it was given at', () => {
    given(...inCharacters)
      .when(submitFeedback('darker', 'hero'))
      .causes([
        byTheCommand(
          happened('Genesis.Session.Submitted', { stage: 'CHARACTERS', feedback: 'darker', target: 'hero' }),
        ),
      ]);
  });

  it('leaves an outstanding request alone', () => {
    const submitted = { stage: 'CONCEPT_SELECTION', feedback: 'darker', target: null } as const;
    given(created(), requested())
      .when(submitFeedback('darker'))
      .causes([byTheCommand(happened('Genesis.Session.Submitted', submitted))]);
  });
});

describe('ConfirmStage', () => {
  it('confirms the current stage with its data and names the next', () => {
    given(created())
      .when(confirmStage('CONCEPT_SELECTION', { concept: 1 }))
      .causes([byTheCommand(confirmed('CONCEPT_SELECTION', { concept: 1 }))]);
  });

  it('confirms without data as with an empty object', () => {
    given(...inCharacters)
      .when(confirmStage('CHARACTERS'))
      .causes([byTheCommand(confirmed('CHARACTERS', {}))]);
  });

  it('fails the outstanding request as superseded before the confirmation', () => {
    given(created(), requested())
      .when(confirmStage('CONCEPT_SELECTION'))
      .causes([answering(requestFailed(SUPERSEDED), 2), byTheCommand(confirmed('CONCEPT_SELECTION'))], {
        ends: failed(REQUEST, SUPERSEDED),
      });
  });

  it('finishes the session after the last stage, because of the confirmation', () => {
    given(...atTheLastStage)
      .when(confirmStage('PLOT_OUTLINE'))
      .causes([byTheCommand(confirmed('PLOT_OUTLINE')), byTheEventBefore(finished())]);
  });

  it.each(STAGES.filter((stage) => stage !== 'CHARACTERS'))('is refused for %s at CHARACTERS', (stage) => {
    given(...inCharacters)
      .when(confirmStage(stage))
      .isRefused({ code: 'STAGE_MISMATCH', currentStage: 'CHARACTERS' });
  });
});

describe('UpdateSession', () => {
  it('records only the members that change', () => {
    given(created({ idea: 'A ship' }))
      .when(updateSession({ title: 'B' }))
      .causes([byTheCommand(happened('Genesis.Session.Updated', { title: 'B' }))]);
  });
});

describe('AbandonSession', () => {
  it('abandons the session without a reason', () => {
    given(created())
      .when(abandonSession())
      .causes([byTheCommand(abandoned())]);
  });

  it('abandons the session with a reason', () => {
    given(created())
      .when(abandonSession('bored'))
      .causes([byTheCommand(happened('Genesis.Session.Updated', { status: 'ABANDONED', reason: 'bored' }))]);
  });

  it('fails the outstanding request as superseded before the end', () => {
    given(created(), requested())
      .when(abandonSession())
      .causes([answering(requestFailed(SUPERSEDED), 2), byTheCommand(abandoned())], {
        ends: failed(REQUEST, SUPERSEDED),
      });
  });
});

const commands: readonly SessionCommand[] = [
  requestConcepts(),
  proposeConcepts(),
  failGeneration('late'),
  submitFeedback(),
  confirmStage('PLOT_OUTLINE'),
  updateSession(),
  abandonSession(),
];

describe('a closed session', () => {
  it.each(commands)('refuses $type after it was completed', (command) => {
    given(...completedSession())
      .when(command)
      .isRefused({ code: 'SESSION_CLOSED', status: 'COMPLETED' });
  });

  it.each(commands)('refuses $type after it was abandoned', (command) => {
    given(...atTheLastStage, abandoned())
      .when(command)
      .isRefused({ code: 'SESSION_CLOSED', status: 'ABANDONED' });
  });
});

describe('a session in progress', () => {
  /** Every stage, and what it answers to each command in turn: A accepted, S STAGE_MISMATCH, N NOTHING_TO_ANSWER, D DUPLICATE_COMMAND. */
  it.each([
    ['CONCEPT_SELECTION', [created()], 'ANNASAA'],
    ['CONCEPT_SELECTION with an outstanding request', [created(), requested()], 'DAAASAA'],
    ['STORY_CONCEPTION', reached('STORY_CONCEPTION'), 'SNNASAA'],
    ['WORLDVIEW', reached('WORLDVIEW'), 'SNNASAA'],
    ['CHARACTERS', inCharacters, 'SNNASAA'],
    ['PLOT_OUTLINE', atTheLastStage, 'SNNAAAA'],
  ])('at %s judges every command', (_, history, expected) => {
    const letters = { DUPLICATE_COMMAND: 'D', STAGE_MISMATCH: 'S', NOTHING_TO_ANSWER: 'N', SESSION_CLOSED: 'C' };
    const judged = commands.map((command) => {
      const { decision } = given(...history).when(command);
      return decision.kind === 'accepted' ? 'A' : letters[decision.refusal.code];
    });
    expect(judged.join('')).toBe(expected);
  });
});
