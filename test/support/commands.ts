import type { Logger } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { GroupCommit, type GroupCommitSettings } from '../../src/commands/group-commit.ts';
import type { CommandOutcome, CommandRequest, CommandStore } from '../../src/commands/ports.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { createLogger } from '../../src/observability/logger.ts';

/** Settings as in production, in times that suit a test. */
export const SETTINGS: GroupCommitSettings = {
  destination: { topic: 'domain-events', shards: 8 },
  generationTimeout: 600_000,
  newId: () => uuidv7(),
  batchMax: 64,
  transactionsMax: 2,
  queueMax: 2_000,
  queueTimeout: 5_000,
  transactionTimeout: 5_000,
};

export const silent = createLogger({ level: 'error', readable: false });
silent.level = 'silent';

export function groupCommit(
  store: CommandStore,
  settings: Partial<GroupCommitSettings> = {},
  logger: Logger = silent,
): GroupCommit {
  return new GroupCommit(store, { ...SETTINGS, ...settings }, logger, () => undefined);
}

/** A command of `ada`, an author, unless said otherwise. */
export function request(command: Command, rest: Partial<CommandRequest> = {}): CommandRequest {
  return {
    commandId: uuidv7() as CommandId,
    sessionId: uuidv7() as SessionId,
    actor: { userId: 'ada' as UserId, role: 'author' },
    command,
    idempotencyKey: null,
    expectedVersion: null,
    traceparent: null,
    ...rest,
  };
}

export const createSession = (title = 'A novel'): Command => ({ type: 'CreateSession', payload: { title } });

export const requestConcepts: Command = {
  type: 'RequestConceptGeneration',
  payload: { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏'] },
};

/** The answer of an accepted command; fails for a refusal. */
export function accepted(outcome: CommandOutcome): Extract<CommandOutcome, { kind: 'accepted' }> {
  if (outcome.kind !== 'accepted') throw new Error(`refused: ${JSON.stringify(outcome.refusal)}`);
  return outcome;
}
