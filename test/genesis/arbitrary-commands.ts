import fc from 'fast-check';
import type { SessionCommand } from '../../src/genesis/decide.ts';
import type { CommandId } from '../../src/genesis/ids.ts';
import { STAGES } from '../../src/genesis/session.ts';
import {
  abandonSession,
  confirmStage,
  failGeneration,
  proposeConcepts,
  requestConcepts,
  submitFeedback,
  updateSession,
} from './given.ts';

const name = fc.string({ minLength: 1, maxLength: 5 });

/** Any command for a session that exists; `requestIds` are those that an agent answers. Few end the session early. */
export function anyCommand(requestIds: fc.Arbitrary<string>): fc.Arbitrary<SessionCommand> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(requestConcepts()) },
    { weight: 4, arbitrary: requestIds.map((id) => proposeConcepts(id)) },
    { weight: 3, arbitrary: fc.tuple(name, requestIds).map(([reason, id]) => failGeneration(reason, id)) },
    { weight: 2, arbitrary: fc.tuple(name, fc.option(name, { nil: undefined })).map(([f, t]) => submitFeedback(f, t)) },
    {
      weight: 5,
      arbitrary: fc.tuple(fc.constantFrom(...STAGES), anyData).map(([stage, data]) => confirmStage(stage, data)),
    },
    { weight: 2, arbitrary: fc.record({ title: name, idea: name }, { requiredKeys: ['title'] }).map(updateSession) },
    { weight: 1, arbitrary: fc.option(name, { nil: undefined }).map(abandonSession) },
  );
}

const anyData = fc.option(fc.dictionary(name, fc.jsonValue({ maxDepth: 2 })), { nil: undefined });

/** A command that answers whatever request is outstanding when it is judged. */
export const OUTSTANDING = 'outstanding' as CommandId;

/** `command`, its OUTSTANDING replaced by the request that waits. */
export function aimedAt(outstanding: CommandId | null, command: SessionCommand): SessionCommand {
  const answers = command.type === 'ProposeConcepts' || command.type === 'FailConceptGeneration';
  if (!answers || command.payload.request_id !== OUTSTANDING || outstanding === null) return command;
  return command.type === 'ProposeConcepts'
    ? proposeConcepts(outstanding)
    : failGeneration(command.payload.reason, outstanding);
}
