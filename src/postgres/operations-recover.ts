import type { Pool, PoolClient } from 'pg';
import type { SessionId } from '../genesis/ids.ts';
import type { FoundEvent, ImportFacts, ImportStep, MissingEvent, Place, RecoverStore } from '../operations/ports.ts';
import { encodeEnvelope, timestamp } from '../outbox/envelope.ts';
import { shardOf } from '../outbox/shard.ts';
import { translate } from './errors.ts';
import { sql } from './sql.ts';

const LOCK = sql('operations/import-lock');
const FACTS = sql('operations/import-facts');
const UNFAIL = sql('operations/import-unfail');
const MARK = sql('operations/import-mark');
const EVENTS = sql('operations/import-events');
const ENDS = sql('operations/import-ends');
const COMMANDS = sql('operations/import-commands');
const SETTLE = sql('operations/settle-shards');

export interface RecoverStoreOptions {
  /** The topic that events come from, and go to. */
  readonly topic: string;
  readonly shards: number;
  /** Milliseconds that an open request has until it fails by itself. */
  readonly generationTimeout: number;
}

/** What `genesis recover` writes. One connection is enough. */
export function createRecoverStore(pool: Pool, options: RecoverStoreOptions): RecoverStore {
  return {
    look: (places) => within(pool, (client) => readFacts(client, places)),
    step: (places, plan) =>
      within(pool, async (client) => {
        await client.query(LOCK, [[...new Set(places.map(({ sessionId }) => sessionId))]]);
        const step = plan(await readFacts(client, places));
        await markFound(client, step.found);
        await insertEvents(client, step.missing, options);
        await insertCommands(client, step, options);
        return step;
      }),
    settle: (partitions) =>
      within(pool, async (client) => {
        await client.query(SETTLE, [
          partitions.map(({ partition }) => partition),
          partitions.map(({ from }) => String(from)),
          partitions.map(({ to }) => String(to)),
        ]);
      }),
    isAhead: () =>
      within(pool, async (client) => {
        const text = `SELECT topic_ahead OR EXISTS (SELECT FROM relay_shards WHERE topic_ahead_at IS NOT NULL) AS ahead FROM genesis_settings`;
        return (await client.query<{ ahead: boolean }>(text)).rows[0]?.ahead ?? false;
      }),
    relaysAlive: () =>
      within(pool, async (client) => {
        const text = 'SELECT name FROM relay_members WHERE expires_at > clock_timestamp() ORDER BY id';
        return (await client.query<{ name: string }>(text)).rows.map(({ name }) => name);
      }),
  };
}

interface FactRow {
  readonly kind: 'known' | 'head';
  readonly session_id: SessionId;
  readonly sequence: number;
  readonly event_id: string;
}

async function readFacts(client: PoolClient, places: readonly Place[]): Promise<ImportFacts> {
  const { rows } = await client.query<FactRow>(FACTS, [
    places.map(({ sessionId }) => sessionId),
    places.map(({ sequence }) => sequence),
  ]);
  const of = (kind: FactRow['kind']) =>
    rows
      .filter((row) => row.kind === kind)
      .map(({ session_id: sessionId, sequence, event_id: eventId }) => ({ sessionId, sequence, eventId }));
  return { known: of('known'), heads: of('head') };
}

async function markFound(client: PoolClient, found: readonly FoundEvent[]): Promise<void> {
  if (found.length === 0) return;
  const places = [found.map(({ sessionId }) => sessionId), found.map(({ sequence }) => sequence)];
  await client.query(UNFAIL, places);
  await client.query(MARK, [
    ...places,
    found.map(({ partition }) => partition),
    found.map(({ offset }) => String(offset)),
    found.map(({ sentAt }) => timestamp(sentAt)),
    found.map(({ marker }) => marker),
  ]);
}

async function insertEvents(
  client: PoolClient,
  missing: readonly MissingEvent[],
  { topic, shards }: RecoverStoreOptions,
): Promise<void> {
  if (missing.length === 0) return;
  const events = missing.map(({ event }) => event);
  await client.query(EVENTS, [
    events.map((event) => event.eventId),
    events.map((event) => event.aggregateId),
    events.map((event) => event.aggregateVersion),
    events.map((event) => event.eventType),
    events.map((event) => event.eventVersion),
    events.map((event) => event.payload),
    events.map((event) => event.metadata),
    events.map((event) => event.correlationId),
    events.map((event) => event.causationId),
    events.map((event) => timestamp(event.occurredAt)),
    topic,
    events.map((event) => shardOf(event.aggregateId, shards)),
    events.map((event) => encodeEnvelope(event)),
    missing.map(({ headers }) => JSON.stringify(headers)),
    missing.map(({ sentAt }) => timestamp(sentAt)),
    missing.map(({ partition }) => partition),
    missing.map(({ offset }) => String(offset)),
  ]);
}

/** Ends first: a session's next request takes the place of the one that was open. */
async function insertCommands(
  client: PoolClient,
  { commands, ends }: ImportStep,
  { generationTimeout }: RecoverStoreOptions,
): Promise<void> {
  const ended = ends.map(({ requestId }) => requestId);
  const reasons = ends.map(({ failedBecause }) => failedBecause);
  const times = ends.map(({ at }) => timestamp(at));
  if (ends.length > 0) await client.query(ENDS, [ended, reasons, times]);
  if (commands.length === 0) return;
  await client.query(COMMANDS, [
    commands.map(({ commandId }) => commandId),
    commands.map(({ sessionId }) => sessionId),
    commands.map(({ userId }) => userId),
    commands.map(({ commandType }) => commandType),
    commands.map(({ payload }) => payload),
    commands.map(({ status }) => status === 'PROCESSING'),
    commands.map(({ firstVersion }) => firstVersion),
    commands.map(({ lastVersion }) => lastVersion),
    commands.map(({ createdAt }) => timestamp(createdAt)),
    ended,
    generationTimeout,
    reasons,
    times,
  ]);
}

/** Runs `work` in a transaction. @throws GenesisError UNAVAILABLE, TransactionConflict, or whatever `work` throws; then nothing was written */
async function within<Result>(pool: Pool, work: (client: PoolClient) => Promise<Result>): Promise<Result> {
  const client = await pool.connect().catch((error: unknown) => {
    throw translate(error);
  });
  let broken = true;
  const ignore = () => undefined;
  client.on('error', ignore);
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    broken = false;
    return result;
  } catch (error) {
    throw translate(error);
  } finally {
    client.off('error', ignore);
    client.release(broken);
  }
}
