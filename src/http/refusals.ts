import type { CommandRefusal } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import type { CommandType } from '../genesis/commands.ts';

/** Tells a refusal of the command service as an error, with what the client needs to mend its request. */
export function errorOfRefusal(refusal: CommandRefusal, command: CommandType): GenesisError {
  const { code } = refusal;
  switch (code) {
    case 'SESSION_NOT_FOUND':
      return sessionNotFound();
    case 'IDEMPOTENCY_KEY_REUSED':
      return new GenesisError(code, 'The Idempotency-Key was used for another request before');
    case 'VERSION_MISMATCH':
      return new GenesisError(code, `The session has version ${refusal.actualVersion}, not the one in If-Match`, {
        actual_version: refusal.actualVersion,
      });
    case 'DUPLICATE_COMMAND':
      // The seed's words.
      return new GenesisError(code, 'Command already processing', { duplicate_command_id: refusal.duplicateCommandId });
    case 'STAGE_MISMATCH':
      return new GenesisError(code, `The session is at stage ${refusal.currentStage}${neededStage(command)}`, {
        current_stage: refusal.currentStage,
      });
    case 'SESSION_CLOSED':
      // Not `status`: RFC 9457 has that member for the HTTP status.
      return new GenesisError(code, `The session is ${refusal.status}`, { session_status: refusal.status });
    case 'NOTHING_TO_ANSWER':
      return new GenesisError(code, 'The session does not wait for an answer to this request', {
        outstanding_request: refusal.outstandingRequestId,
      });
  }
}

/** A command that names its stage needs no more words. */
function neededStage(command: CommandType): string {
  return command === 'RequestConceptGeneration' ? `; ${command} works only at CONCEPT_SELECTION` : '';
}

/** One error for a session that does not exist and for one that is somebody else's: they must not be told apart. */
export function sessionNotFound(): GenesisError {
  return new GenesisError('SESSION_NOT_FOUND', 'There is no such session');
}
