import type { Backlog, Backlogs } from '../outbox/operations/figures.ts';
import type { ActionResult, ExplainedRow, Preview, SessionPublication } from '../outbox/operations/operations.ts';
import type { OperatorAction, RowAction } from '../outbox/operations/ports.ts';
import { explainSession, whatToDo } from '../outbox/operations/why.ts';
import { count, counted, duration } from './progress.ts';
import { table, type Column } from './table.ts';

/** What the sub-commands of `genesis outbox` print for people. */

/** Rows that `why` shows one by one. */
const SHOWN = 10;

type NamedBacklog = readonly [name: string, backlog: Backlog];

const number = (of: (backlog: Backlog) => number) => ({
  align: 'right' as const,
  text: ([, backlog]: NamedBacklog) => atLeast(of(backlog), backlog.complete),
});

const BACKLOG_COLUMNS: readonly Column<NamedBacklog>[] = [
  { title: 'SHARD', text: ([name]) => name },
  { title: 'PENDING', ...number(({ pending }) => pending) },
  { title: 'RETRY', ...number(({ waitingForRetry }) => waitingForRetry) },
  { title: 'HELD', ...number(({ held }) => held) },
  { title: 'FAILED', ...number(({ failed }) => failed) },
  { title: 'DISCARDED', ...number(({ discarded }) => discarded) },
  { title: 'ON HOLD', ...number(({ sessionsOnHold }) => sessionsOnHold) },
  { title: 'OLDEST', align: 'right', text: ([, { oldestAge }]) => age(oldestAge), least: 7 },
];

export function figuresText({ total, shards }: Backlogs, width: number): string {
  const ascending = [...shards].toSorted(([one], [other]) => one - other);
  const rows: readonly NamedBacklog[] = [
    ...ascending.map(([shard, backlog]) => [String(shard), backlog] as const),
    ['all', total],
  ];
  const notes = [
    total.complete ? '' : '≥: at least; there is more than was counted',
    total.failed === 0 ? '' : 'FAILED events wait for you: npx genesis outbox list --status FAILED',
  ].filter((note) => note !== '');
  return [table(BACKLOG_COLUMNS, rows, width), ...notes].join('\n');
}

const ROW_COLUMNS: readonly Column<ExplainedRow>[] = [
  { title: 'ID', align: 'right', text: ({ row }) => String(row.id) },
  { title: 'SHARD', align: 'right', text: ({ row }) => String(row.shard) },
  { title: 'STATUS', text: ({ row }) => row.status },
  { title: 'SEQ', align: 'right', text: ({ row }) => String(row.sequence) },
  { title: 'AGE', align: 'right', text: ({ row }) => age(row.age) },
  { title: 'SESSION', text: ({ row }) => row.sessionId, least: 9 },
  { title: 'WAITS FOR', text: waitsInShort, least: 12 },
];

export function rowsText(rows: readonly ExplainedRow[], width: number): string {
  return table(ROW_COLUMNS, rows, width);
}

function waitsInShort({ row, waits }: ExplainedRow): string {
  if (waits.length > 0) return waits.map(({ detail }) => detail).join('; and ');
  if (row.sentAt === null) return 'its turn';
  return row.partition === null ? '' : `(partition ${row.partition}, offset ${row.offset ?? '?'})`;
}

export function publicationText(publication: SessionPublication, width: number): string {
  const { waiting, complete, lastSettled } = publication;
  const [first] = waiting;
  const lines = [explainSession(first)];
  if (first !== undefined) {
    const todo = new Set(first.waits.map((wait) => whatToDo(wait, first.row)));
    for (const what of todo) lines.push(`→ ${what}`);
    lines.push('', `${atLeast(waiting.length, complete)} of its events are not published:`);
    lines.push(rowsText(waiting.slice(0, SHOWN), width));
    if (waiting.length > SHOWN || !complete) lines.push('…');
  }
  if (lastSettled !== null) lines.push('', lastSettledText(lastSettled));
  return lines.join('\n');
}

function lastSettledText({ eventId, sequence, partition, offset, sentAt }: ExplainedRow['row']): string {
  const when = sentAt === null ? '' : `, ${new Date(sentAt).toISOString()}`;
  return `Published last: event ${eventId} (sequence ${sequence}) at partition ${partition ?? '?'}, offset ${offset ?? '?'}${when}`;
}

const CHANGES = { retry: 'FAILED → PENDING', discard: '→ DISCARDED, for good' } as const;
const DONE = { retry: 'retried', discard: 'discarded' } as const;

/** @param command What to type to do it. */
export function previewText(action: RowAction, preview: Preview, command: string, width: number): string {
  const { count: rows, complete, sample } = preview;
  if (rows === 0) return `no row fits that could be ${DONE[action]}`;
  const more = rows > sample.length || !complete ? ['…'] : [];
  const bounded = complete ? [] : ['These are done first; run it again for the others.'];
  return [
    `${atLeast(rows, complete)} ${rows === 1 ? 'row' : 'rows'} would be ${DONE[action]} (${CHANGES[action]}):`,
    rowsText(sample, width),
    ...more,
    ...bounded,
    'Nothing was changed. To do it:',
    `  ${command}`,
  ].join('\n');
}

export function resultText(action: RowAction, callId: string, result: ActionResult): string {
  const { affected, skipped, skippedIds, complete, interrupted } = result;
  const lines = [`${DONE[action]} ${counted(affected, 'row')}`];
  if (affected > 0) lines.push(`in the audit trail: npx genesis outbox actions --call ${callId}`);
  if (skipped > 0) {
    const ids = `${skippedIds.slice(0, SHOWN).join(', ')}${skipped > SHOWN ? ' …' : ''}`;
    lines.push(
      `left alone ${counted(skipped, 'row')}, whose status does not allow it or that somebody has locked: ${ids}`,
    );
  }
  if (interrupted !== null) lines.push(`it ended early; what was done stays done: ${interrupted}`);
  else if (!complete) lines.push('there are more: run it again');
  return lines.join('\n');
}

const ACTION_COLUMNS: readonly Column<OperatorAction>[] = [
  { title: 'AT', text: ({ at }) => `${new Date(at).toISOString().slice(0, 19)}Z` },
  { title: 'WHO', text: ({ actor }) => actor, least: 8 },
  { title: 'DID', text: ({ action }) => action },
  { title: 'WHAT', text: whatText, least: 10 },
  { title: 'REASON', text: ({ reason }) => reason ?? '', least: 10 },
];

export function actionsText(actions: readonly OperatorAction[], width: number): string {
  return table(ACTION_COLUMNS, actions, width);
}

function whatText({ eventIds, shards }: OperatorAction): string {
  if (shards.length > 0) return `${shards.length === 1 ? 'shard' : 'shards'} ${shards.join(', ')}`;
  return eventIds.length === 1 ? `event ${eventIds.join('')}` : counted(eventIds.length, 'event');
}

/** 1,234 or ≥ 1,234 */
export function atLeast(value: number, complete: boolean): string {
  return complete ? count(value) : `≥ ${count(value)}`;
}

/** Seconds in words; nothing for none. */
export function age(seconds: number | null): string {
  return seconds === null ? '–' : duration(Math.max(0, seconds) * 1_000);
}
