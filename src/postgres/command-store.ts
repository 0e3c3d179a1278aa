import { createHash } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
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
import { toSession, type SessionRow } from './session-row.ts';
import { sql } from './sql.ts';
import { runTransaction, type Written } from './transaction.ts';
import { writeParameters } from './write-parameters.ts';

const STATEMENTS = {
  lockCreateKeys: sql('commands/lock-create-keys'),
  lockSessions: sql('commands/lock-sessions'),
  existingSessions: sql('commands/existing-sessions'),
  clock: sql('commands/clock'),
  findCommand: sql('commands/find-command'),
  readInbox: sql('commands/read-inbox'),
  write: sql('commands/write'),
};

/** A CommandStore on the four tables. */
export function createCommandStore(pool: Pool): CommandStore {
  return {
    transaction: (work, timeLimit) =>
      runTransaction(
        pool,
        async (client) => {
          const transaction = new PostgresCommandTransaction(client);
          return { result: await work(transaction), written: transaction.written };
        },
        timeLimit,
      ),
  };
}

/** What each transaction learns besides the sessions. */
interface Clock {
  readonly now: Date;
  readonly topic_ahead: boolean;
}

interface LockedRow extends SessionRow, Clock {
  readonly schema_level: number;
}

class PostgresCommandTransaction implements CommandTransaction {
  readonly #client: PoolClient;
  written: Written | null = null;

  constructor(client: PoolClient) {
    this.#client = client;
  }

  async lock(sessionIds: readonly SessionId[], createKeys: readonly CreateKey[]): Promise<LockedSessions> {
    const busyKeys = createKeys.length === 0 ? [] : await this.#lockKeys(createKeys);
    const rows = sessionIds.length === 0 ? [] : await this.#run<LockedRow>('lockSessions', [sessionIds]);
    const locked = new Set(rows.map((row) => row.session_id));
    const missing = sessionIds.filter((id) => !locked.has(id));
    const busy = missing.length === 0 ? [] : await this.#run<{ session_id: SessionId }>('existingSessions', [missing]);
    const { now, topic_ahead: topicAhead } = rows[0] ?? (await this.#clock());
    const tooNew = rows.filter((row) => row.schema_level > EVENT_SCHEMA_LEVEL);
    return {
      sessions: rows.map(toSession),
      busy: busy.map((row) => row.session_id),
      tooNew: tooNew.map((row) => row.session_id),
      busyKeys,
      topicAhead,
      now: now.getTime(),
    };
  }

  /** Takes the locks that are free; gives the keys whose lock somebody else holds. */
  async #lockKeys(keys: readonly CreateKey[]): Promise<readonly CreateKey[]> {
    const hashes = [...new Set(keys.map(advisoryLock))];
    const rows = await this.#run<{ hash: string }>('lockCreateKeys', [hashes]);
    const ours = new Set(rows.map((row) => BigInt(row.hash)));
    return keys.filter((key) => !ours.has(advisoryLock(key)));
  }

  async #clock(): Promise<Clock> {
    const [row] = await this.#run<Clock>('clock', []);
    if (row === undefined)
      throw new Error('genesis_settings has no row: restore the one that the first migration wrote');
    return row;
  }

  async readInbox({ sessionIds, sessionKeys, createKeys }: InboxQuery): Promise<InboxState> {
    const rows = await this.#run<InboxRow>('readInbox', [
      sessionIds,
      sessionKeys.map((key) => key.sessionId),
      sessionKeys.map((key) => key.userId),
      sessionKeys.map((key) => key.key),
      createKeys.map((key) => key.userId),
      createKeys.map((key) => key.key),
    ]);
    return { unfinished: rows.filter(isUnfinished).map(toUnfinished), bound: rows.filter(isBound).map(toBoundKey) };
  }

  async write(rows: WriteSet): Promise<void> {
    const [written] = await this.#run<{ finished: number; sessions: number; xid: string }>(
      'write',
      writeParameters(rows),
    );
    if (written?.finished !== rows.finished.length || written.sessions !== rows.sessions.length) {
      throw new Error('a row that the batch has locked was not as it was read; nothing is written');
    }
    this.written = {
      xid: written.xid,
      witness: { text: STATEMENTS.findCommand, values: [rows.inbox[0]?.request.commandId] },
    };
  }

  async #run<Row extends object>(
    statement: keyof typeof STATEMENTS,
    values: readonly unknown[],
  ): Promise<readonly Row[]> {
    const text = STATEMENTS[statement];
    const { rows } = await this.#client.query<Row>({ name: statement, text, values: [...values] });
    return rows;
  }
}

/** 64 bits of the scope of a key. */
function advisoryLock({ userId, key }: CreateKey): bigint {
  return createHash('sha256')
    .update(JSON.stringify([userId, key]))
    .digest()
    .readBigInt64BE();
}

interface InboxRow {
  readonly kind: 'unfinished' | 'bound';
  readonly id: CommandId;
  readonly session_id: SessionId;
  readonly user_id: UserId;
  readonly command_type: UnfinishedCommand['commandType'];
  readonly idempotency_key: string | null;
  readonly fingerprint: string | null;
  readonly response: BoundKey['answer'] | null;
}

type BoundRow = InboxRow & {
  readonly idempotency_key: string;
  readonly fingerprint: string;
  readonly response: BoundKey['answer'];
};

function isUnfinished(row: InboxRow): boolean {
  return row.kind === 'unfinished';
}

function isBound(row: InboxRow): row is BoundRow {
  return row.kind === 'bound';
}

function toUnfinished(row: InboxRow): UnfinishedCommand {
  return { commandId: row.id, sessionId: row.session_id, commandType: row.command_type };
}

function toBoundKey(row: BoundRow): BoundKey {
  return {
    sessionId: row.session_id,
    userId: row.user_id,
    key: row.idempotency_key,
    fingerprint: row.fingerprint,
    createsSession: row.command_type === 'CreateSession',
    answer: row.response,
  };
}
