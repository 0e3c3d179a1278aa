import { hash } from 'node:crypto';
import { GenesisError } from '../../errors.ts';
import type { SessionId } from '../../genesis/ids.ts';
import { countBacklogs, type Backlogs } from './figures.ts';
import type {
  ActionQuery,
  Deed,
  Hold,
  OperationsStore,
  OperatorAction,
  OutboxRow,
  RelayFacts,
  RowAction,
  RowFilter,
} from './ports.ts';
import { selectRows, type RowPage, type RowPosition } from './select-rows.ts';
import { isKeptBack, whyItWaits, type Wait } from './why.ts';

/** Most rows that one call changes; what is beyond is left to the next. */
const MAX_CHANGED = 5_000;
/** Rows of one transaction. */
const STEP = 200;
/** Rows that are read at a time to find those that are to be changed. */
const PAGE = 1_000;
/** Rows that a preview shows. */
const SAMPLE = 10;
/** Most rows that are named one by one as passed over. */
const MAX_NAMED = 100;
/** Milliseconds after which no further page of rows is looked for. */
const SELECT_TIME = 1_500;

/** A row, and everything that keeps it waiting. */
export interface ExplainedRow {
  readonly row: OutboxRow;
  readonly waits: readonly Wait[];
}

/** Where a session's publishing stands. */
export interface SessionPublication {
  readonly sessionId: SessionId;
  readonly hold: Hold | null;
  /** Its rows that are not settled, in order: the first of them. Empty: everything is published. */
  readonly waiting: readonly ExplainedRow[];
  /** Whether these are all. */
  readonly complete: boolean;
  readonly lastSettled: OutboxRow | null;
}

export interface Selection {
  readonly action: RowAction;
  readonly filter: RowFilter;
  /** Discard PENDING rows too that nothing keeps from being on their way; they may be sent all the same. */
  readonly force: boolean;
}

/** What an action would change. */
export interface Preview {
  readonly count: number;
  /** False: more rows fit; those counted are changed first. */
  readonly complete: boolean;
  /** Names exactly these rows. */
  readonly token: string;
  readonly sample: readonly ExplainedRow[];
}

export interface ActionRequest extends Selection {
  /** Of the preview; null: whatever fits now. */
  readonly token: string | null;
  readonly deed: Deed;
}

export interface ActionResult {
  readonly affected: number;
  /** Rows that were meant and not changed: their status does not allow it, or somebody else has them locked. */
  readonly skipped: number;
  /** The first of them, by id. */
  readonly skippedIds: readonly number[];
  /** Whether all rows that fit were dealt with. */
  readonly complete: boolean;
  /** Why it ended early, for people; null: it did not. */
  readonly interrupted: string | null;
}

export interface PauseResult {
  readonly changed: readonly number[];
  /** They were so already. */
  readonly unchanged: readonly number[];
}

/** What people do with the outbox and its relays. Every call may throw GenesisError UNAVAILABLE. */
export interface Operations {
  backlogs(): Promise<{ readonly relays: RelayFacts; readonly backlogs: Backlogs }>;
  list(
    filter: RowFilter,
    position: RowPosition | null,
    limit: number,
  ): Promise<{ readonly rows: readonly ExplainedRow[]; readonly next: RowPosition | null }>;
  /** Null: there is no such session. */
  publicationOf(sessionId: SessionId): Promise<SessionPublication | null>;
  preview(selection: Selection): Promise<Preview>;
  /**
   * Changes the rows in bounded steps, each a transaction with its line in the audit trail.
   * @throws GenesisError SELECTION_CHANGED if a token is given and other rows fit now than at its preview; OUTCOME_UNKNOWN
   */
  act(request: ActionRequest): Promise<ActionResult>;
  /** @param shards Null: all. @throws UnknownShard; GenesisError OUTCOME_UNKNOWN */
  setPaused(shards: readonly number[] | null, paused: boolean, deed: Deed): Promise<PauseResult>;
  actions(query: ActionQuery): Promise<readonly OperatorAction[]>;
}

/** A shard that this database does not have. */
export class UnknownShard extends Error {
  override readonly name = 'UnknownShard';
  readonly shard: number;

  constructor(shard: number, shards: number) {
    super(`there is no shard ${shard}: they are 0 to ${shards - 1}`);
    this.shard = shard;
  }
}

export function createOperations(store: OperationsStore): Operations {
  return {
    async backlogs() {
      const relays = await store.relays();
      return { relays, backlogs: await countBacklogs(store, relays.shards) };
    },
    async list(filter, position, limit) {
      const { rows, next } = await selectRows(store, filter, position, limit);
      return { rows: await explain(store, rows), next };
    },
    async publicationOf(sessionId) {
      const { exists, waiting, complete, lastSettled } = await store.look(sessionId);
      if (!exists) return null;
      const [hold = null] = await store.holdsOf([sessionId]);
      return { sessionId, hold, waiting: await explain(store, waiting), complete, lastSettled };
    },
    async preview(selection) {
      const { rows, complete } = await choose(store, selection);
      const sample = await explain(store, rows.slice(0, SAMPLE));
      return { count: rows.length, complete, token: tokenOf(selection.action, rows), sample };
    },
    act: (request) => act(store, request),
    setPaused: (shards, paused, deed) => setPaused(store, shards, paused, deed),
    actions: (query) => store.actions(query),
  };
}

async function explain(store: OperationsStore, rows: readonly OutboxRow[]): Promise<readonly ExplainedRow[]> {
  if (rows.every((row) => row.sentAt !== null)) return rows.map((row) => ({ row, waits: [] }));
  const [holds, relays] = [await holdsBySession(store, rows), await store.relays()];
  return rows.map((row) => ({ row, waits: whyItWaits(row, holds.get(row.sessionId), relays) }));
}

async function holdsBySession(
  store: OperationsStore,
  rows: readonly OutboxRow[],
): Promise<ReadonlyMap<SessionId, Hold>> {
  const sessions = [...new Set(rows.map(({ sessionId }) => sessionId))];
  return new Map((await store.holdsOf(sessions)).map((hold) => [hold.sessionId, hold]));
}

interface Chosen {
  readonly rows: readonly OutboxRow[];
  /** Named, but the action is not for them as they are now. */
  readonly refused: readonly OutboxRow[];
  readonly complete: boolean;
}

/** The rows that an action is for, in order. */
async function choose(store: OperationsStore, { action, filter, force }: Selection): Promise<Chosen> {
  const endsAt = performance.now() + SELECT_TIME;
  const status = filter.ids === null ? (filter.status ?? 'FAILED') : filter.status;
  const wanted = { ...filter, status, heldOnly: !force };
  const rows: OutboxRow[] = [];
  const refused: OutboxRow[] = [];
  let position: RowPosition | null = null;
  do {
    const page: RowPage = await selectRows(store, wanted, position, Math.min(PAGE, MAX_CHANGED - rows.length));
    const holds = await holdsBySession(store, page.rows);
    for (const row of page.rows) {
      (isFor(action, row, holds.get(row.sessionId), force) ? rows : refused).push(row);
    }
    position = page.next;
  } while (position !== null && rows.length < MAX_CHANGED && performance.now() < endsAt);
  return { rows, refused, complete: position === null };
}

function isFor(action: RowAction, row: OutboxRow, hold: Hold | undefined, force: boolean): boolean {
  if (row.status === 'FAILED') return true;
  return action === 'discard' && row.status === 'PENDING' && (force || isKeptBack(row, hold));
}

/** Not secret: it only tells one set of rows from another. */
function tokenOf(action: RowAction, rows: readonly OutboxRow[]): string {
  const digest = hash('sha256', `${action}:${rows.map(({ id }) => id).join()}`);
  return `${rows.length}-${digest.slice(0, 16)}`;
}

async function act(store: OperationsStore, request: ActionRequest): Promise<ActionResult> {
  const { rows, refused, complete } = await choose(store, request);
  const actual = tokenOf(request.action, rows);
  if (request.token !== null && request.token !== actual) {
    const message = `Other rows fit now than at the preview: ${rows.length}${complete ? '' : ' or more'}. Look again`;
    throw new GenesisError('SELECTION_CHANGED', message, { actual_count: rows.length, actual_token: actual });
  }
  const { changed, interrupted } = await changeInSteps(store, request, rows);
  const skipped = [...refused, ...rows].filter(({ id }) => !changed.has(id));
  return {
    affected: changed.size,
    skipped: skipped.length,
    skippedIds: skipped.slice(0, MAX_NAMED).map(({ id }) => id),
    complete: complete && interrupted === null,
    interrupted,
  };
}

/** What earlier steps have done stays done, whatever becomes of a later one. */
async function changeInSteps(store: OperationsStore, request: ActionRequest, rows: readonly OutboxRow[]) {
  const { action, force, deed } = request;
  const changed = new Set<number>();
  for (let first = 0; first < rows.length; first += STEP) {
    const ids = rows.slice(first, first + STEP).map(({ id }) => id);
    try {
      for (const id of await store.change({ action, ids, force, deed })) changed.add(id);
    } catch (error) {
      const told = withCall(error, deed);
      if (first === 0) throw told;
      return { changed, interrupted: told instanceof Error ? told.message : String(told) };
    }
  }
  return { changed, interrupted: null };
}

/** An outcome that is not known can be looked up in the audit trail. */
function withCall(error: unknown, { callId }: Deed): unknown {
  if (!(error instanceof GenesisError) || error.code !== 'OUTCOME_UNKNOWN') return error;
  const message = `The database did not say in time whether it was done; the audit trail knows it by its call ${callId}`;
  return new GenesisError('OUTCOME_UNKNOWN', message, { call_id: callId }, { cause: error });
}

async function setPaused(
  store: OperationsStore,
  asked: readonly number[] | null,
  paused: boolean,
  deed: Deed,
): Promise<PauseResult> {
  const known = (await store.relays()).shards.map(({ shard }) => shard);
  const unknown = asked?.find((shard) => !known.includes(shard));
  if (unknown !== undefined) throw new UnknownShard(unknown, known.length);
  const changed: number[] = [];
  const unchanged: number[] = [];
  for (const shard of new Set(asked ?? known)) {
    try {
      // One at a time: the relays renew their leases in the same rows, and nobody is to wait for anybody in a circle.
      ((await store.setPaused(shard, paused, deed)) ? changed : unchanged).push(shard);
    } catch (error) {
      throw withCall(error, deed);
    }
  }
  return { changed, unchanged };
}
