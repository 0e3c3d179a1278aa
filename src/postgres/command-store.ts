import { createHash } from 'node:crypto';
import { DatabaseError, type Pool, type PoolClient } from 'pg';
import type {
  BoundKey,
  CommandStore,
  CommandTransaction,
  CreateKey,
  InboxQuery,
  InboxState,
  LockedSessions,
  UnfinishedCommand,
  WriteSet,
} from '../commands/ports.ts';
import { EVENT_SCHEMA_LEVEL } from '../genesis/event-schemas.ts';
import type { CommandId, SessionId, UserId } from '../genesis/ids.ts';
import { plainArray, textArray } from './array-literal.ts';
import { endsSession } from './errors.ts';
import { schemaLevelOf, toLockedSession, type LockedRow } from './locked-row.ts';
import { Pipeline, type Statement } from './pipeline.ts';
import { sql, statement } from './sql.ts';
import { runBegunTransaction, type Written } from './transaction.ts';
import { writeSteps } from './write-steps.ts';

const BEGIN: Statement = { name: 'begin', text: 'BEGIN' };
/** In a transaction that has failed it would be answered with ROLLBACK. */
const COMMIT: Statement = { name: 'COMMIT', text: 'COMMIT', tag: 'COMMIT' };
const LOCK_CREATE_KEYS = statement('commands/lock-create-keys');
const LOCK_SESSIONS = statement('commands/lock-sessions');
const EXISTING_SESSIONS = statement('commands/existing-sessions');
const CLOCK = statement('commands/clock');
const READ_INBOX = statement('commands/read-inbox');
const FIND_COMMAND = sql('commands/find-command');

/** A CommandStore on the four tables. */
export function createCommandStore(pool: Pool): CommandStore {
  return {
    transaction: (work, timeLimit) =>
      runBegunTransaction(
        pool,
        async (client) => {
          const transaction = new PostgresCommandTransaction(client);
          const result = await work(transaction);
          return { result, written: transaction.written, committed: transaction.committed };
        },
        timeLimit,
      ),
  };
}

/** Columns of commands/clock.sql: milliseconds since the epoch, a boolean, the transaction's id. */
type ClockRow = readonly [now: string, topicAhead: 't' | 'f', xid: string];
type ExistingRow = readonly [sessionId: SessionId];
type HashRow = readonly [hash: string];

class PostgresCommandTransaction implements CommandTransaction {
  readonly #pipeline: Pipeline;
  readonly #begun: Promise<unknown>;
  #xid = '';
  written: Written | null = null;
  committed: boolean | undefined;

  constructor(client: PoolClient) {
    this.#pipeline = new Pipeline(client);
    // Goes out with the first step, and fails with it.
    this.#begun = this.#pipeline.run(BEGIN, []);
    this.#begun.catch(() => undefined);
  }

  async lock(sessionIds: readonly SessionId[], createKeys: readonly CreateKey[]): Promise<LockedSessions> {
    const [busyKeys, rows, clock] = await Promise.all([
      createKeys.length === 0 ? [] : this.#lockKeys(createKeys),
      sessionIds.length === 0 ? [] : this.#pipeline.run<LockedRow>(LOCK_SESSIONS, [plainArray(sessionIds)]),
      this.#pipeline.run<ClockRow>(CLOCK, []),
    ]);
    const [now, topicAhead, xid] = clock[0] ?? noSettings();
    this.#xid = xid;
    const locked = new Set(rows.map(([sessionId]) => sessionId));
    const missing = sessionIds.filter((id) => !locked.has(id));
    const tooNew = rows.filter((row) => schemaLevelOf(row) > EVENT_SCHEMA_LEVEL);
    return {
      sessions: rows.map(toLockedSession),
      busy: missing.length === 0 ? [] : await this.#existing(missing),
      tooNew: tooNew.map(([sessionId]) => sessionId),
      busyKeys,
      topicAhead: topicAhead === 't',
      now: Math.floor(Number(now)),
    };
  }

  async #existing(sessionIds: readonly SessionId[]): Promise<readonly SessionId[]> {
    const rows = await this.#pipeline.run<ExistingRow>(EXISTING_SESSIONS, [plainArray(sessionIds)]);
    return rows.map(([sessionId]) => sessionId);
  }

  /** Takes the locks that are free; gives the keys whose lock somebody else holds. */
  async #lockKeys(keys: readonly CreateKey[]): Promise<readonly CreateKey[]> {
    const hashes = [...new Set(keys.map(advisoryLock))];
    const rows = await this.#pipeline.run<HashRow>(LOCK_CREATE_KEYS, [plainArray(hashes.map(String))]);
    const ours = new Set(rows.map(([hash]) => BigInt(hash)));
    return keys.filter((key) => !ours.has(advisoryLock(key)));
  }

  async readInbox({ sessionIds, sessionKeys, createKeys }: InboxQuery): Promise<InboxState> {
    const rows = await this.#pipeline.run<InboxRow>(READ_INBOX, [
      plainArray(sessionIds),
      plainArray(sessionKeys.map((key) => key.sessionId)),
      textArray(sessionKeys.map((key) => key.userId)),
      textArray(sessionKeys.map((key) => key.key)),
      textArray(createKeys.map((key) => key.userId)),
      textArray(createKeys.map((key) => key.key)),
    ]);
    return { unfinished: rows.filter(isUnfinished).map(toUnfinished), bound: rows.filter(isBound).map(toBoundKey) };
  }

  /** COMMIT goes out with the rows: it is carried out only if the statements before it were. */
  async write(rows: WriteSet): Promise<void> {
    this.written = { xid: this.#xid, witness: { text: FIND_COMMAND, values: [rows.inbox[0]?.request.commandId] } };
    const writing = writeSteps(rows).map(({ statement: step, values }) => this.#pipeline.run(step, values));
    const committed = this.#pipeline.run(COMMIT, []).then(
      () => true,
      () => false,
    );
    await Promise.all(writing).catch((error: unknown) => {
      // What the server refuses is not followed by COMMIT. Of a session that has ended nothing is known.
      if (isRefusal(error)) throw error;
    });
    this.committed = await committed;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && !endsSession(error.code ?? '');
}

function noSettings(): never {
  throw new Error('genesis_settings has no row: restore the one that the first migration wrote');
}

/** 64 bits of the scope of a key. */
function advisoryLock({ userId, key }: CreateKey): bigint {
  return createHash('sha256')
    .update(JSON.stringify([userId, key]))
    .digest()
    .readBigInt64BE();
}

/** Columns of commands/read-inbox.sql. */
type InboxRow = UnfinishedRow | BoundRow;
type UnfinishedRow = readonly [...InboxColumns, idempotencyKey: null, fingerprint: null, response: null];
type BoundRow = readonly [...InboxColumns, idempotencyKey: string, fingerprint: string, response: string];
type InboxColumns = [
  id: CommandId,
  sessionId: SessionId,
  userId: UserId,
  commandType: UnfinishedCommand['commandType'],
];

function isUnfinished(row: InboxRow): row is UnfinishedRow {
  return row[4] === null;
}

function isBound(row: InboxRow): row is BoundRow {
  return row[4] !== null;
}

function toUnfinished([commandId, sessionId, , commandType]: UnfinishedRow): UnfinishedCommand {
  return { commandId, sessionId, commandType };
}

function toBoundKey([, sessionId, userId, commandType, key, fingerprint, response]: BoundRow): BoundKey {
  return {
    sessionId,
    userId,
    key,
    fingerprint,
    createsSession: commandType === 'CreateSession',
    answer: JSON.parse(response) as BoundKey['answer'],
  };
}
