import type { SessionId } from '../genesis/ids.ts';
import type { AuditSnapshot, AuditStore, LockedProjection, Projection, ProjectionStore } from './ports.ts';
import type { Finding } from './findings.ts';
import { Fold } from './fold.ts';
import { judgeProjection } from './judge-projection.ts';

/** Sessions that are compared in one snapshot. */
const PAGE = 200;
/** How often a session is tried whose row somebody else has locked. */
const ATTEMPTS = 5;

export interface RebuildOptions {
  readonly store: AuditStore & ProjectionStore;
  /** Only this session; null: all. */
  readonly sessionId: SessionId | null;
  /** Only sessions with a higher id: where an earlier run came to. Null: from the beginning. */
  readonly after: SessionId | null;
  /** Says what would be rebuilt, and writes nothing. */
  readonly dryRun: boolean;
  /** A row that was rebuilt (or would be), and what was wrong with it. */
  readonly onRebuilt: (finding: Finding) => void;
  /** What rebuilding cannot mend. `busy`: it could not be locked. */
  readonly onProblem: (problem: Finding | { readonly code: 'BUSY'; readonly sessionId: SessionId }) => void;
  readonly onProgress: (counts: RebuildCounts) => void;
  /** Ends the work after the session under way. */
  readonly signal?: AbortSignal;
}

export interface RebuildCounts {
  readonly sessions: number;
  readonly events: number;
  readonly rebuilt: number;
  readonly problems: number;
  /** Every session up to this id is done: where a further run may go on. */
  readonly after: SessionId | null;
}

type Counts = { -readonly [K in keyof RebuildCounts]: RebuildCounts[K] };

/**
 * Makes genesis_sessions what the events say, while commands go on: sessions are compared in short snapshots, and each row that
 * differs is folded anew under its lock, in a transaction of its own. A row that is right is not touched. Can be ended and
 * resumed at any time, and run several times at once.
 *
 * @throws GenesisError UNAVAILABLE; the signal's reason. The counts of the last `onProgress` tell where to go on.
 */
export async function rebuild(options: RebuildOptions): Promise<RebuildCounts> {
  const counts: Counts = { sessions: 0, events: 0, rebuilt: 0, problems: 0, after: options.after };
  const { sessionId } = options;
  if (sessionId !== null) {
    await rebuildPage(() => Promise.resolve([sessionId]), options, counts);
    // A row without events would have been a problem.
    if (counts.events === 0 && counts.problems === 0) counts.sessions = 0;
  } else while (await rebuildPage((snapshot) => snapshot.sessionsAfter(counts.after, PAGE), options, counts));
  return counts;
}

/** Whether there were any sessions. */
async function rebuildPage(page: Page, options: RebuildOptions, counts: Counts): Promise<boolean> {
  options.signal?.throwIfAborted();
  const { ids, findings } = await options.store.inSnapshot((snapshot) => comparePage(snapshot, page, counts));
  for (const finding of findings) {
    options.signal?.throwIfAborted();
    await mend(finding, options, counts);
  }
  counts.after = ids.at(-1) ?? counts.after;
  counts.sessions += ids.length;
  options.onProgress({ ...counts });
  return ids.length > 0;
}

type Page = (snapshot: AuditSnapshot) => Promise<readonly SessionId[]>;

/** Which sessions of a page have rows that are not what their events say, in id order. */
async function comparePage(
  snapshot: AuditSnapshot,
  page: Page,
  counts: Counts,
): Promise<{ readonly ids: readonly SessionId[]; readonly findings: readonly Finding[] }> {
  const ids = await page(snapshot);
  if (ids.length === 0) return { ids, findings: [] };
  const rows = new Map((await snapshot.projections(ids)).map((row) => [row.session.sessionId, row]));
  const folds = new Map(ids.map((id) => [id, new Fold()]));
  for await (const events of snapshot.events(ids)) {
    for (const { event } of events) folds.get(event.aggregateId)?.add(event);
    counts.events += events.length;
  }
  const findings = [...folds].flatMap(([id, fold]) => judgeProjection(id, rows.get(id) ?? null, fold.result()) ?? []);
  return { ids, findings };
}

async function mend(finding: Finding, options: RebuildOptions, counts: Counts): Promise<void> {
  const { sessionId, code } = finding;
  if (code !== 'PROJECTION_DIFFERS' && code !== 'PROJECTION_MISSING') {
    counts.problems += 1;
    return options.onProblem(finding);
  }
  if (options.dryRun || (await foldAnew(sessionId, options.store))) {
    counts.rebuilt += 1;
    return options.onRebuilt(finding);
  }
  counts.problems += 1;
  options.onProblem({ code: 'BUSY', sessionId });
}

/** Folds a session under its lock and writes its row. False: somebody else kept it locked. */
async function foldAnew(sessionId: SessionId, store: ProjectionStore): Promise<boolean> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if ((await store.mend(sessionId, foldLocked)) === 'done') return true;
  }
  return false;
}

/** What the row must be; null if that cannot be told. */
async function foldLocked(locked: LockedProjection): Promise<Projection | null> {
  const fold = new Fold();
  for await (const some of locked.events()) for (const event of some) fold.add(event);
  const result = fold.result();
  return result.kind === 'projection' ? result.projection : null;
}
