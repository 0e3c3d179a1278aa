import type { SessionId } from '../genesis/ids.ts';
import type { Lane, LaneFilter, LaneLook, LanePosition } from '../outbox/operations/ports.ts';
import { toOutboxRow, type RowColumns } from './outbox-admin-rows.ts';
import type { Read, ReadStatement } from './read.ts';
import { sql } from './sql.ts';

const statement = (name: string): ReadStatement => ({ name: `ops-${name}`, text: sql(`ops/${name}`) });

const FIND_HELD = statement('find-held');
const FIND_ORDINARY = statement('find-ordinary');
const FIND_SETTLED = statement('find-settled');
const FIND_OF_SESSION = statement('find-of-session');
const FIND_BY_IDS = statement('find-by-ids');
const END_HELD = statement('end-held');
const END_ORDINARY = statement('end-ordinary');
const END_SETTLED = statement('end-settled');
const END_OF_SESSION = statement('end-of-session');

/** Most rows, and most sessions on hold, that one look reads. */
const ROWS = 10_000;
const SESSIONS = 500;
const FIRST_SESSION = '00000000-0000-0000-0000-000000000000' as SessionId;

/** How a lane is searched: what its statements take besides the filter, and where the look ended. */
interface Search {
  readonly find: ReadStatement;
  readonly values: readonly unknown[];
  /** Asked only when fewer rows were found than wanted. */
  readonly end: () => Promise<LanePosition | null>;
}

/** A bounded look at one lane: at most `limit` rows from a position on, itself included. */
export async function findInLane(
  read: Read,
  lane: Lane,
  filter: LaneFilter,
  from: LanePosition | null,
  limit: number,
): Promise<LaneLook> {
  const { find, values, end } = SEARCHES[lane](read, filter, from, limit);
  const { statuses, shard, eventType, fromId, toId, minAge, maxAge } = filter;
  const common = [statuses, shard, eventType, fromId, toId, minAge, maxAge];
  const rows = (await read<RowColumns>(find, [...common, ...values])).map(toOutboxRow);
  return { rows, next: rows.length < limit ? await end() : null };
}

type Searching = (read: Read, filter: LaneFilter, from: LanePosition | null, limit: number) => Search;

const SEARCHES: Readonly<Record<Lane, Searching>> = {
  held(read, _filter, from, limit) {
    const key = from?.key ?? FIRST_SESSION;
    return {
      find: FIND_HELD,
      values: [key, from?.at ?? 0, SESSIONS, ROWS, limit],
      async end() {
        const [next] = await read<{ key: SessionId }>(END_HELD, [key, SESSIONS]);
        return next === undefined ? null : { key: next.key, at: 0 };
      },
    };
  },
  ordinary(read, { shard, fromId, toId }, from, limit) {
    const at = from?.at ?? null;
    return {
      find: FIND_ORDINARY,
      values: [at, ROWS, limit],
      end: () => endOf(read, END_ORDINARY, [shard, fromId, toId, at, ROWS]),
    };
  },
  settled(read, { fromId, toId }, from, limit) {
    const at = from?.at ?? null;
    return {
      find: FIND_SETTLED,
      values: [at, ROWS, limit],
      end: () => endOf(read, END_SETTLED, [fromId, toId, at, ROWS]),
    };
  },
  session(read, { sessionId, eventId }, from, limit) {
    const at = from?.at ?? 0;
    return {
      find: FIND_OF_SESSION,
      values: [at, ROWS, limit, sessionId, eventId],
      // An event is one row.
      end: async () => (eventId === null ? endOf(read, END_OF_SESSION, [sessionId, at, ROWS]) : null),
    };
  },
  ids(_read, { ids, sessionId, eventId }, from, limit) {
    return {
      find: FIND_BY_IDS,
      values: [ids ?? [], from?.at ?? 0, sessionId, eventId, limit],
      end: async () => null,
    };
  },
};

async function endOf(read: Read, end: ReadStatement, values: readonly unknown[]): Promise<LanePosition | null> {
  const [next] = await read<{ at: number }>(end, values);
  return next === undefined ? null : { key: null, at: next.at };
}
