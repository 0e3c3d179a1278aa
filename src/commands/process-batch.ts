import { GenesisError } from '../errors.ts';
import { BatchWork, type BatchOutcome, type BatchSettings } from './batch-work.ts';
import type { CommandRequest, CommandTransaction, CreateKey, SessionKey } from './ports.ts';

/**
 * Judges the commands of one batch in the order given, inside one transaction, and writes all rows of all accepted ones at
 * once. No outcome may leave before the transaction has committed: a refusal or a replay may depend on a batch-mate.
 *
 * @throws GenesisError UNAVAILABLE, for the whole batch, while the topic is ahead of the database
 */
export async function processBatch(
  transaction: CommandTransaction,
  batch: readonly CommandRequest[],
  settings: BatchSettings,
): Promise<readonly BatchOutcome[]> {
  const sessionIds = [...new Set(batch.filter((request) => !createsSession(request)).map((r) => r.sessionId))];
  const createKeys = batch.flatMap(createKeyOf);
  const sessionKeys = batch.flatMap(sessionKeyOf);
  const locking = transaction.lock(sessionIds, createKeys);
  const reading =
    sessionIds.length + createKeys.length === 0
      ? { unfinished: [], bound: [] }
      : transaction.readInbox({ sessionIds, sessionKeys, createKeys });
  const [locked, inbox] = await Promise.all([locking, reading]);
  if (locked.topicAhead === true) throw topicAhead();
  const work = new BatchWork(locked, inbox, settings);
  const outcomes = batch.map((request) => work.judge(request));
  if (work.hasRows) await transaction.write(work.rows());
  return outcomes;
}

function createsSession(request: CommandRequest): boolean {
  return request.command.type === 'CreateSession';
}

function createKeyOf(request: CommandRequest): CreateKey[] {
  const { idempotencyKey, actor } = request;
  return createsSession(request) && idempotencyKey !== null ? [{ userId: actor.userId, key: idempotencyKey.key }] : [];
}

function sessionKeyOf(request: CommandRequest): SessionKey[] {
  const { idempotencyKey, actor, sessionId } = request;
  if (createsSession(request) || idempotencyKey === null) return [];
  return [{ sessionId, userId: actor.userId, key: idempotencyKey.key }];
}

/** Seconds: an operator has to act first, and then it takes a while. */
const RETRY_WHEN_RECOVERED = 30;

/** A replay is refused, too: its session may have gone on in the events that are missing here. */
function topicAhead(): GenesisError {
  return new GenesisError(
    'UNAVAILABLE',
    'The database is older than the topic of events, as after a restore from a backup: no command is taken until an operator has ' +
      'brought back what is missing (genesis recover). Nothing was written; try again later.',
    { retry_after: RETRY_WHEN_RECOVERED },
  );
}
