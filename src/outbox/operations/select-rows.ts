import type { OutboxStatus } from '../outbox-row.ts';
import type { Lane, LaneFilter, LanePosition, OperationsStore, OutboxRow, RowFilter } from './ports.ts';

/** A place in a list of rows: the first that its next page looks at. */
export interface RowPosition {
  readonly lane: Lane;
  /** Null: the lane's beginning. */
  readonly from: LanePosition | null;
}

export interface RowPage {
  readonly rows: readonly OutboxRow[];
  /** Null: there are no more. A page may be short, even empty, although there are. */
  readonly next: RowPosition | null;
}

/** Most looks for one page; each reads a bounded number of rows. */
const LOOKS = 3;

const UNSETTLED = ['PENDING', 'FAILED', 'DISCARDED'] as const satisfies readonly OutboxStatus[];
const ANY = [...UNSETTLED, 'SENT'] as const satisfies readonly OutboxStatus[];

/** A lane, and the statuses that are looked for in it. */
type Step = readonly [lane: Lane, statuses: readonly OutboxStatus[]];

const STEPS: Readonly<Record<OutboxStatus | 'unsettled', readonly Step[]>> = {
  unsettled: [
    ['held', UNSETTLED],
    ['ordinary', ['PENDING']],
  ],
  PENDING: [
    ['held', ['PENDING']],
    ['ordinary', ['PENDING']],
  ],
  FAILED: [['held', ['FAILED']]],
  DISCARDED: [
    ['held', ['DISCARDED']],
    ['settled', ['DISCARDED']],
  ],
  SENT: [['settled', ['SENT']]],
};

export interface ListedFilter extends RowFilter {
  /** Of rows that are not settled only those of sessions on hold. */
  readonly heldOnly?: boolean;
}

/** Where rows of a filter can be, in the order in which they are listed. */
function stepsOf(filter: ListedFilter): readonly Step[] {
  const steps = allStepsOf(filter);
  return filter.heldOnly === true ? steps.filter(([lane]) => lane !== 'ordinary') : steps;
}

function allStepsOf({ ids, sessionId, eventId, status }: RowFilter): readonly Step[] {
  if (ids !== null) return [['ids', status === null ? ANY : [status]]];
  if (sessionId !== null || eventId !== null) return [['session', status === null ? ANY : [status]]];
  return STEPS[status ?? 'unsettled'];
}

/**
 * At most `limit` rows of a filter, from a position on (null: from the first). What waits comes first, by session and sequence;
 * then the ordinary way, lowest id first; what is settled, highest id first.
 */
export async function selectRows(
  store: Pick<OperationsStore, 'find'>,
  filter: ListedFilter,
  position: RowPosition | null,
  limit: number,
): Promise<RowPage> {
  const steps = stepsOf(filter);
  const rows: OutboxRow[] = [];
  let index = position === null ? 0 : steps.findIndex(([lane]) => lane === position.lane);
  let from = position?.from ?? null;
  for (let looks = 0; index >= 0 && index < steps.length; looks += 1) {
    const [lane, statuses] = steps[index] as Step;
    if (looks === LOOKS || rows.length === limit) return { rows, next: { lane, from } };
    const wanted = limit - rows.length;
    // One more than wanted says where the next page begins.
    const found = await store.find(lane, { ...filter, statuses } satisfies LaneFilter, from, wanted + 1);
    rows.push(...found.rows.slice(0, wanted));
    const more = found.rows[wanted];
    if (more !== undefined) return { rows, next: { lane, from: positionOf(lane, more) } };
    from = found.next;
    if (from === null) index += 1;
  }
  return { rows, next: null };
}

function positionOf(lane: Lane, row: OutboxRow): LanePosition {
  if (lane === 'held') return { key: row.sessionId, at: row.sequence };
  return { key: null, at: lane === 'session' ? row.sequence : row.id };
}
