import type { SessionId } from '../genesis/ids.ts';
import type { AuditSnapshot, AuditStore, StrayRow, SuspectCommand, Wire } from './ports.ts';
import type { Finding } from './findings.ts';
import { Fold, type FoldResult } from './fold.ts';
import { judgeProjection } from './judge-projection.ts';
import { OutboxAudit } from './outbox-audit.ts';

/** Sessions that are looked at in one snapshot. */
const PAGE = 200;
/** Outbox rows that are looked at by one statement. */
const OUTBOX_PAGE = 10_000;

export interface VerifyOptions {
  readonly store: AuditStore;
  readonly wire: Wire;
  /** Milliseconds for which published outbox rows are certainly kept. */
  readonly retention: number;
  /** Only this session; null: all. */
  readonly sessionId: SessionId | null;
  readonly onFinding: (finding: Finding) => void;
  readonly onProgress: (counts: VerifyCounts) => void;
  /** Ends the work at the next page. */
  readonly signal?: AbortSignal;
}

export interface VerifyCounts {
  readonly sessions: number;
  readonly events: number;
  readonly findings: number;
}

/**
 * Proves that the tables agree, or says where they don't: versions without a gap, projection = fold(events), each event in the
 * outbox as it must be, each command with its events. Reads only, beside running commands, in bounded memory.
 *
 * @returns the counts; the proof is complete and clean when `findings` is 0. No table knows of the one session that was asked for
 *   when `sessions` is 0.
 * @throws GenesisError UNAVAILABLE; the signal's reason
 */
export async function verify(options: VerifyOptions): Promise<VerifyCounts> {
  const counts = { sessions: 0, events: 0, findings: 0 };
  const found = (finding: Finding) => {
    counts.findings += 1;
    options.onFinding(finding);
  };
  const run: Run = { options, counts, found };
  const { sessionId, store } = options;
  if (sessionId === null) await verifyAll(run);
  else {
    await verifyPage(() => Promise.resolve([sessionId]), run);
    for (const row of await store.strayRowsOf(sessionId)) found(strayRow(row));
    // A row without events would have been found.
    if (counts.events === 0 && counts.findings === 0) counts.sessions = 0;
  }
  return counts;
}

interface Run {
  readonly options: VerifyOptions;
  readonly counts: { sessions: number; events: number; findings: number };
  readonly found: (finding: Finding) => void;
}

async function verifyAll(run: Run): Promise<void> {
  const { store, signal, onProgress } = run.options;
  let after: SessionId | null = null;
  do {
    signal?.throwIfAborted();
    const from: SessionId | null = after;
    after = await verifyPage((snapshot) => snapshot.sessionsAfter(from, PAGE), run);
    onProgress({ ...run.counts });
  } while (after !== null);
  let last: number | null = 0;
  while (last !== null) {
    signal?.throwIfAborted();
    const stray = await store.strayRows(last, OUTBOX_PAGE);
    for (const row of stray.rows) run.found(strayRow(row));
    last = stray.last;
  }
}

/** Verifies a page of sessions in one snapshot; gives the last of them, null if there were none. */
function verifyPage(
  page: (snapshot: AuditSnapshot) => Promise<readonly SessionId[]>,
  run: Run,
): Promise<SessionId | null> {
  return run.options.store.inSnapshot(async (snapshot) => {
    const ids = await page(snapshot);
    if (ids.length > 0) await verifySessions(snapshot, ids, run);
    return ids.at(-1) ?? null;
  });
}

async function verifySessions(snapshot: AuditSnapshot, ids: readonly SessionId[], run: Run): Promise<void> {
  const { options, counts, found } = run;
  const projections = new Map((await snapshot.projections(ids)).map((row) => [row.session.sessionId, row]));
  const commands = Map.groupBy(await snapshot.suspectCommands(ids), (command) => command.sessionId);
  const retention = { now: snapshot.now, retention: options.retention };
  const audits = new Map(
    ids.map((id) => [id, { fold: new Fold(), outbox: new OutboxAudit(options.wire, retention, found) }]),
  );
  for await (const events of snapshot.events(ids)) {
    for (const audited of events) {
      const audit = audits.get(audited.event.aggregateId);
      audit?.fold.add(audited.event);
      audit?.outbox.add(audited);
    }
    counts.events += events.length;
  }
  for (const [id, { fold }] of audits) {
    const result = fold.result();
    const finding = judgeProjection(id, projections.get(id) ?? null, result);
    if (finding !== null) found(finding);
    for (const suspect of judgeCommands(id, commands.get(id) ?? [], result)) found(suspect);
  }
  counts.sessions += ids.length;
}

function judgeCommands(
  sessionId: SessionId,
  commands: readonly SuspectCommand[],
  fold: FoldResult,
): readonly Finding[] {
  const versions = commands
    .filter((command) => !command.versionsExist)
    .map(({ commandId, firstVersion, lastVersion }): Finding => {
      return {
        code: 'INBOX_VERSIONS',
        sessionId,
        detail: `command ${commandId}: versions ${firstVersion}–${lastVersion}`,
      };
    });
  if (fold.kind === 'tooNew' || fold.kind === 'damaged') return versions;
  const outstanding =
    fold.kind === 'projection' ? (fold.projection.session.outstandingRequest?.requestId ?? null) : null;
  const unfinished = commands.filter((command) => command.unfinished).map((command) => command.commandId);
  const waits = outstanding === null || unfinished.includes(outstanding);
  const surplus = unfinished.filter((id) => id !== outstanding);
  return [
    ...versions,
    ...surplus.map((id): Finding => ({
      code: 'INBOX_UNFINISHED',
      sessionId,
      detail: `command ${id} is unfinished, nothing waits for it`,
    })),
    ...(waits
      ? []
      : [
          {
            code: 'INBOX_UNFINISHED' as const,
            sessionId,
            detail: `request ${outstanding} is outstanding, its command is not unfinished`,
          },
        ]),
  ];
}

function strayRow({ id, eventId, sessionId }: StrayRow): Finding {
  return { code: 'OUTBOX_WITHOUT_EVENT', sessionId, detail: `row ${id}, event ${eventId}` };
}
