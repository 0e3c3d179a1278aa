import type { BlockingRow, Hold, OutboxRow, RelayFacts, ShardFacts } from './ports.ts';

/**
 * What keeps a row from being sent. `FAILED`: the row itself was refused for good. `HELD`: an earlier event of its session is
 * FAILED or waits for its retry. `RETRY`: it was refused and waits for its retry. The others concern its whole shard.
 */
export const WAIT_REASONS = [
  'FAILED',
  'HELD',
  'RETRY',
  'TOPIC_AHEAD',
  'SHARD_PAUSED',
  'SHARD_NOT_OWNED',
  'SHARD_UNAVAILABLE',
  'SHARD_RECOVERING',
] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

export interface Wait {
  readonly reason: WaitReason;
  /** For people. */
  readonly detail: string;
  /** Milliseconds since the epoch; null: it is not known, or it takes somebody to act. */
  readonly until: number | null;
  /** The event that it may not overtake; only with HELD. */
  readonly behind: BlockingRow | null;
}

/** Everything that keeps a row waiting, what is nearest to it first; empty when it goes out in its turn, or is settled. */
export function whyItWaits(row: OutboxRow, hold: Hold | undefined, relays: RelayFacts): readonly Wait[] {
  if (row.sentAt !== null) return [];
  const shard = relays.shards.find((facts) => facts.shard === row.shard);
  return [ofRow(row, hold), ...ofShard(shard, relays.topicAhead)].filter((wait) => wait !== null);
}

type Whom = Pick<OutboxRow, 'id' | 'shard'>;

const RETRIED = 'Nothing: it is retried by itself';
const WHAT_TO_DO = {
  FAILED: (row) => retryOrDiscard(row.id),
  HELD: (_row, behind) => (behind?.status === 'FAILED' ? retryOrDiscard(behind.id) : RETRIED),
  RETRY: () => RETRIED,
  TOPIC_AHEAD: () => 'Import what the database lacks: npx genesis recover --from-topic',
  SHARD_PAUSED: ({ shard }) => `npx genesis shards resume ${shard}`,
  SHARD_NOT_OWNED: () => 'Start a relay: npx genesis relay',
  SHARD_UNAVAILABLE: () => 'Look after the broker: it goes on by itself when the partition can be written',
  SHARD_RECOVERING: () => 'Nothing: it takes seconds',
} as const satisfies Readonly<Record<WaitReason, (row: Whom, behind: BlockingRow | null) => string>>;

/** What an operator can do about it. */
export function whatToDo({ reason, behind }: Wait, row: Whom): string {
  return WHAT_TO_DO[reason](row, behind);
}

function retryOrDiscard(id: number): string {
  return `npx genesis outbox retry --id ${id} --yes, once its cause is mended; or npx genesis outbox discard --id ${id} --reason … --yes`;
}

/** Whether an earlier event of its session, or its own retry, certainly keeps a row from being on its way now. */
export function isKeptBack(row: Pick<OutboxRow, 'sequence' | 'createdAt' | 'age'>, hold: Hold | undefined): boolean {
  const blocking = hold?.blocking ?? null;
  if (blocking === null || blocking.sequence > row.sequence) return false;
  // By the database's clock: the row says what it was.
  return blocking.status === 'FAILED' || (hold?.waitsUntil ?? 0) > row.createdAt + row.age * 1_000;
}

function ofRow(row: OutboxRow, hold: Hold | undefined): Wait | null {
  if (row.status === 'FAILED') {
    return { reason: 'FAILED', detail: `the broker refused it for good: ${wordsOf(row)}`, until: null, behind: null };
  }
  const blocking = hold?.blocking ?? null;
  // A retry that is due, or the marker of a discarded event, is on its way: what is left is the shard's turn.
  if (hold === undefined || blocking === null || !isKeptBack(row, hold)) return null;
  const until = hold.waitsUntil;
  if (blocking.sequence < row.sequence) return behindOf(blocking, until);
  const detail = `the broker refused it, retry ${row.retryCount} of ${row.maxRetries}: ${wordsOf(row)}`;
  return { reason: 'RETRY', detail, until, behind: null };
}

function behindOf(blocking: BlockingRow, until: number | null): Wait {
  const { eventId, sequence, status } = blocking;
  const state = status === 'FAILED' ? 'is FAILED' : 'waits for its retry';
  const detail = `held behind event ${eventId} (sequence ${sequence}), which ${state}: ${wordsOf(blocking)}`;
  return { reason: 'HELD', detail, until, behind: blocking };
}

function wordsOf({ lastError }: { readonly lastError: string | null }): string {
  return lastError ?? 'it is not known why';
}

function ofShard(shard: ShardFacts | undefined, topicAhead: boolean): readonly Wait[] {
  const wait = (reason: WaitReason, detail: string): Wait => ({ reason, detail, until: null, behind: null });
  if (shard === undefined) return [wait('SHARD_NOT_OWNED', 'the relays know no such shard')];
  const name = `shard ${shard.shard}`;
  const waits: Wait[] = [];
  if (shard.topicAheadAt !== null) {
    waits.push(wait('TOPIC_AHEAD', `${name} has a record at offset ${shard.topicAheadAt} that the database lacks`));
  } else if (topicAhead) {
    waits.push(wait('TOPIC_AHEAD', 'the topic holds records that the database lacks'));
  }
  if (shard.paused) waits.push(wait('SHARD_PAUSED', `${name} is paused`));
  if (shard.owner === null) waits.push(wait('SHARD_NOT_OWNED', `no relay drains ${name}`));
  else if (shard.state === 'unavailable') {
    waits.push(wait('SHARD_UNAVAILABLE', `${name} cannot be written: ${shard.lastError ?? 'it is not known why'}`));
  } else if (shard.state === 'recovering') {
    waits.push(wait('SHARD_RECOVERING', `${name} is being taken over`));
  }
  return waits;
}

/** Says in a sentence why a session's events do not go out, by the first of its rows that is not settled. */
export function explainSession(
  first: { readonly row: OutboxRow; readonly waits: readonly Wait[] } | undefined,
): string {
  if (first === undefined) return 'Everything is published.';
  const { row, waits } = first;
  const [nearest] = waits;
  const what = row.status === 'DISCARDED' ? 'the marker of the discarded event' : 'event';
  const name = `${what} ${row.eventId} (sequence ${row.sequence})`;
  if (nearest === undefined) return `Nothing is in the way: ${name} goes out in its turn.`;
  // The words of a broker may be a whole sentence.
  const details = waits.map(({ detail }) => detail.replace(/\.+$/u, ''));
  return `The next to go out is ${name}: ${details.join('; and ')}.`;
}
