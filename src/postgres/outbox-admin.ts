import type { Pool } from 'pg';
import { TransactionConflict } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import type { SessionId } from '../genesis/ids.ts';
import type { CountLook, Deed, OperationsStore, RowStep, SessionLook } from '../outbox/operations/ports.ts';
import { findInLane } from './outbox-admin-lanes.ts';
import {
  heldCount,
  ordinaryCount,
  toAction,
  toHold,
  toOutboxRow,
  toRelayFacts,
  type ActionColumns,
  type HeldColumns,
  type HoldColumns,
  type MemberColumns,
  type OrdinaryColumns,
  type RowColumns,
  type ShardColumns,
} from './outbox-admin-rows.ts';
import type { Read, ReadStatement } from './read.ts';
import { sql } from './sql.ts';
import { runTransaction } from './transaction.ts';

const statement = (name: string): ReadStatement => ({ name: `ops-${name}`, text: sql(`ops/${name}`) });

const RELAY_SHARDS = statement('relay-shards');
const RELAY_MEMBERS = statement('relay-members');
const TOPIC_AHEAD: ReadStatement = { name: 'ops-topic-ahead', text: 'SELECT topic_ahead FROM genesis_settings' };
const COUNT_ORDINARY = statement('count-ordinary');
const COUNT_HELD = statement('count-held');
const HOLDS_OF = statement('holds-of');
const SESSION_EXISTS: ReadStatement = {
  name: 'ops-session-exists',
  text: 'SELECT EXISTS (SELECT FROM genesis_sessions WHERE session_id = $1) AS exists',
};
const SESSION_WAITING = statement('session-waiting');
const SESSION_LAST_SETTLED = statement('session-last-settled');
const LIST_ACTIONS = statement('list-actions');
const RETRY_ROWS = sql('ops/retry-rows');
const DISCARD_ROWS = sql('ops/discard-rows');
const PAUSE_SHARD = sql('ops/pause-shard');

/** Bounds of one look at sessions on hold: sessions, rows of one, rows in all. */
const HELD = { sessions: 1_000, ofOne: 10_000, rows: 20_000 } as const;
/** Most rows that a look at one session gives. */
const WAITING = 1_000;
const MAX_INTEGER = 2_147_483_647;
const FIRST_SESSION = '00000000-0000-0000-0000-000000000000';

/**
 * What people do with the outbox, on PostgreSQL.
 * @param timeLimit Milliseconds for one transaction.
 */
export function createOperationsStore(read: Read, pool: Pool, timeLimit: number): OperationsStore {
  return {
    async relays() {
      const [shards, members, settings] = await Promise.all([
        read<ShardColumns>(RELAY_SHARDS, []),
        read<MemberColumns>(RELAY_MEMBERS, []),
        read<{ topic_ahead: boolean }>(TOPIC_AHEAD, []),
      ]);
      return toRelayFacts(shards, members, settings[0]?.topic_ahead ?? false);
    },
    countOrdinary: (fromId, limit) => countOrdinary(read, fromId, limit),
    countHeld: (after) => countHeld(read, after),
    find: (lane, filter, from, limit) => findInLane(read, lane, filter, from, limit),
    async holdsOf(sessionIds) {
      return (await read<HoldColumns>(HOLDS_OF, [sessionIds])).map(toHold);
    },
    look: (sessionId) => look(read, sessionId),
    change: (step) => change(pool, step, timeLimit),
    async setPaused(shard, paused, deed) {
      return (await write(pool, PAUSE_SHARD, [shard, paused, ...columnsOf(deed)], timeLimit)).length > 0;
    },
    async actions({ action, actor, callId, before, limit }) {
      return (await read<ActionColumns>(LIST_ACTIONS, [action, actor, callId, before, limit])).map(toAction);
    },
  };
}

async function countOrdinary(read: Read, fromId: number, limit: number): Promise<CountLook<number>> {
  const rows = await read<OrdinaryColumns>(COUNT_ORDINARY, [fromId, limit]);
  const examined = rows.reduce((sum, row) => sum + row.examined, 0);
  const last = Math.max(fromId, ...rows.map((row) => row.last));
  return { counts: rows.map(ordinaryCount), complete: true, examined, next: examined < limit ? null : last + 1 };
}

async function countHeld(read: Read, after: SessionId | null): Promise<CountLook<SessionId>> {
  const values = [after ?? FIRST_SESSION, HELD.sessions, HELD.ofOne, HELD.rows];
  const rows = await read<HeldColumns>(COUNT_HELD, values);
  const examined = rows.reduce((sum, row) => sum + row.examined, 0);
  const sessions = rows.reduce((sum, row) => sum + row.sessions, 0);
  const last =
    rows
      .map((row) => row.last)
      .toSorted()
      .at(-1) ?? null;
  // A session with as many rows as one may have, or the last one before the bound of all, was perhaps cut.
  const cut = examined === HELD.rows || rows.some(({ longest }) => longest === HELD.ofOne);
  const more = examined === HELD.rows || sessions === HELD.sessions;
  return { counts: rows.map(heldCount), complete: !cut, examined, next: more ? last : null };
}

async function look(read: Read, sessionId: SessionId): Promise<SessionLook> {
  const [known] = await read<{ exists: boolean }>(SESSION_EXISTS, [sessionId]);
  const waiting = await read<RowColumns>(SESSION_WAITING, [sessionId, WAITING]);
  const before = waiting[0]?.sequence ?? MAX_INTEGER;
  const [lastSettled] = await read<RowColumns>(SESSION_LAST_SETTLED, [sessionId, before]);
  return {
    exists: known?.exists === true || waiting.length > 0 || lastSettled !== undefined,
    waiting: waiting.map(toOutboxRow),
    complete: waiting.length < WAITING,
    lastSettled: lastSettled === undefined ? null : toOutboxRow(lastSettled),
  };
}

function change(pool: Pool, { action, ids, force, deed }: RowStep, timeLimit: number): Promise<readonly number[]> {
  return action === 'retry'
    ? write(pool, RETRY_ROWS, [ids, ...columnsOf(deed)], timeLimit)
    : write(pool, DISCARD_ROWS, [ids, ...columnsOf(deed), force], timeLimit);
}

function columnsOf({ callId, actor, via, filter, reason }: Deed): readonly unknown[] {
  return [callId, actor, via, filter, reason];
}

interface Changed {
  readonly id: number;
  /** The line in the audit trail, by which the transaction is found again. */
  readonly told: string;
  readonly xid: string;
}

/** @throws GenesisError UNAVAILABLE, OUTCOME_UNKNOWN */
async function write(
  pool: Pool,
  text: string,
  values: readonly unknown[],
  timeLimit: number,
): Promise<readonly number[]> {
  try {
    return await runTransaction(
      pool,
      async (client) => {
        const { rows } = await client.query<Changed>(text, [...values]);
        return { result: rows.map(({ id }) => id), written: writtenBy(rows[0]) };
      },
      timeLimit,
    );
  } catch (error) {
    if (!(error instanceof TransactionConflict)) throw error;
    const message = 'Somebody else keeps locked what was to be changed. Nothing was written; try again.';
    throw new GenesisError('UNAVAILABLE', message, {}, { cause: error });
  }
}

function writtenBy(changed: Changed | undefined) {
  if (changed === undefined) return null;
  const { told, xid } = changed;
  return { xid, witness: { text: 'SELECT 1 FROM operator_actions WHERE id = $1', values: [told] } };
}
