import { expect, it } from 'vitest';
import { decide, decideCreation, type Decision, type SessionCommand } from '../../src/genesis/decide.ts';
import { COMMAND_PAYLOADS } from '../../src/genesis/commands.ts';
import type { Session } from '../../src/genesis/session.ts';
import { sessionOf, REQUEST_ID } from '../http/api-harness.ts';
import { drawnTransitions } from './command-life.ts';
import { commandId, eventId } from './requests.ts';

const COMMANDS: readonly SessionCommand[] = [
  { type: 'RequestConceptGeneration', payload: { theme_preferences: [], style_preferences: [] } },
  { type: 'ProposeConcepts', payload: { request_id: REQUEST_ID, concepts: [{ title: 'A', summary: 'B' }] } },
  { type: 'FailConceptGeneration', payload: { request_id: REQUEST_ID, reason: 'no idea' } },
  { type: 'SubmitFeedback', payload: { feedback: 'good' } },
  { type: 'ConfirmStage', payload: { stage: 'CONCEPT_SELECTION' } },
  { type: 'UpdateSession', payload: { title: 'A' } },
  { type: 'AbandonSession', payload: {} },
];

const quiet = sessionOf();
const waiting = sessionOf({ outstandingRequest: { requestId: REQUEST_ID, eventId: eventId(1) } });

/** What a decision does to the command's own row, and to that of the request which it ends. */
function transitionsOf(decision: Decision): readonly string[] {
  if (decision.kind === 'refused') return [];
  const { status, ends } = decision;
  const end = ends === null ? [] : [`PROCESSING -> ${ends.failedBecause === null ? 'COMPLETED' : 'FAILED'}`];
  return [`RECEIVED -> ${status}`, ...end];
}

it('the life of a command is drawn as the domain decides it', () => {
  expect([...COMMANDS.map(({ type }) => type), 'CreateSession'].toSorted()).toEqual(
    Object.keys(COMMAND_PAYLOADS).toSorted(),
  );
  const judged = (session: Session) => COMMANDS.map((command) => decide(command, session, commandId(2)));
  const decisions = [decideCreation({}), ...judged(quiet), ...judged(waiting)];
  const transitions = new Set(decisions.flatMap(transitionsOf));
  expect(drawnTransitions()).toEqual([...transitions].toSorted());
});
