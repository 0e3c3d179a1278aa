import type { OwnedShard } from './owned-shards.ts';
import type { EventId, SessionId } from '../genesis/ids.ts';
import type { FoundRecord, Membership, TopicReader, TransactionalPublisher } from './ports.ts';
import type { OutcomeRecorder, Published } from './record-outcomes.ts';
import type { WorkSignal } from './wait-for-work.ts';

/** What it takes to learn what the topic already holds. */
export interface RecoveryPorts {
  readonly membership: Membership;
  readonly reader: TopicReader;
  readonly transactions: Pick<TransactionalPublisher, 'fence'>;
  /** Keeps what cannot be marked now. */
  readonly recorder: Pick<OutcomeRecorder, 'acknowledged'>;
  readonly work: Pick<WorkSignal, 'wake'>;
}

/**
 * - `recovered`: whatever the partition holds is marked, and nobody before us can write to it any more (exactly once).
 * - `topic-ahead`: the last record's event is not in the database.
 */
export type Recovery =
  | { readonly kind: 'recovered'; readonly found: number }
  | { readonly kind: 'topic-ahead'; readonly record: FoundRecord };

/**
 * What stands between holding a shard's lease and claiming its rows: fence the predecessors, make sure of the lease, compare the end of
 * the partition with the database, read the partition back from the last record that is known to be marked, and mark what is there.
 *
 * @param confirm Asks the database whether the lease still holds; rejects if not. After the fence, so that of two that fence each
 * other only one goes on.
 * @throws PublisherUnavailable, LeaseLost, the database's error: to be tried again
 */
export async function recoverShard(
  owned: OwnedShard,
  { membership, reader, recorder, transactions, work }: RecoveryPorts,
  confirm: () => Promise<void>,
  signal: AbortSignal,
): Promise<Recovery> {
  const { shard } = owned;
  await fencePredecessors(owned, membership, transactions, signal);
  await confirm();
  const foreignOf = async (records: readonly FoundRecord[]) => {
    return (await membership.store.findForeign(records))[0];
  };
  const last = await reader.last(shard, signal);
  if (endsBelow(owned.position, last)) owned.position = 0n;
  // What lies before the position has been compared before. A record without our headers is somebody else's: it says nothing about us.
  if (last !== null && BigInt(last.offset) >= owned.position && last.eventId !== '') {
    const foreign = await foreignOf([last]);
    if (foreign !== undefined) return { kind: 'topic-ahead', record: foreign };
  }
  // The other shards have waited for this.
  if (!owned.compared) work.wake();
  owned.compared = true;
  let found = 0;
  for await (const records of reader.from(shard, String(owned.position), signal)) {
    const ours = records.filter(({ eventId }) => eventId !== '');
    const foreign = await foreignOf(ours);
    if (foreign !== undefined) return { kind: 'topic-ahead', record: foreign };
    const { marked, locked } = await membership.store.markFound(ours);
    found += marked;
    recorder.acknowledged(locked.map(({ id, record }) => publishedOf(id, record)));
    const end = records.at(-1);
    if (end !== undefined) owned.position = BigInt(end.offset) + 1n;
  }
  return { kind: 'recovered', found };
}

async function fencePredecessors(
  owned: OwnedShard,
  membership: Membership,
  transactions: RecoveryPorts['transactions'],
  signal: AbortSignal,
): Promise<void> {
  while (owned.predecessors.length > 0) {
    const [first = '', ...others] = owned.predecessors;
    if (first !== membership.transactionalId) await transactions.fence(first, signal);
    // There may be many, and a broker that goes away in between: none is fenced twice.
    owned.predecessors = others;
  }
}

/** The partition was made anew, or has lost its end: what was known of its offsets is worth nothing. */
function endsBelow(position: bigint, last: FoundRecord | null): boolean {
  return last === null || BigInt(last.offset) + 1n < position;
}

/** A record that was found, as if it had just been acknowledged. */
function publishedOf(id: number, { eventId, key, offset, partition, sequence }: FoundRecord): Published {
  return {
    row: {
      id,
      eventId: eventId as EventId,
      topic: '',
      key: key as SessionId,
      shard: partition,
      sequence,
      payload: null,
      headers: {},
      retryCount: 0,
      maxRetries: 0,
      createdAt: 0,
      held: false,
    },
    sent: { id, partition, offset },
  };
}
