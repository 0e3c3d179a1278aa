import type { Logger } from 'pino';
import { identityOf } from './identity.ts';
import type { ClaimedRow, DeliveryMode, ShardReport } from './ports.ts';

/** See the state machine in docs/relay.md. `stalled` is the open circuit. */
export type RelayState = 'standby' | 'draining' | 'idle' | 'stalled' | 'stopped';

export interface RelayStatus {
  readonly state: RelayState;
  /** When the state began, in milliseconds since the epoch by this machine's clock. */
  readonly since: number;
  /** When rows were last marked SENT, likewise; null before the first. */
  readonly lastProgressAt: number | null;
  /** What went wrong last; null as long as nothing has. */
  readonly lastError: string | null;
  /** Rows marked SENT since the start. */
  readonly published: number;
  /** Of those published: found in the topic when its end was read back, and not sent a second time. */
  readonly found: number;
  /** Retries scheduled and rows marked FAILED, likewise. */
  readonly retried: number;
  readonly failed: number;
  /** Why it may not join: relays with another delivery mode are at work. Null: it may. */
  readonly refused: string | null;
  /** The database did not take the last statement. */
  readonly databaseAway: boolean;
  readonly delivery: DeliveryMode;
  /** The shards that it holds. */
  readonly shards: readonly ShardReport[];
}

/** A relay that is at work and has marked nothing for so long, in milliseconds, is stuck. */
const STUCK_AFTER_MS = 30_000;

/**
 * Why a relay makes no progress that it could make, or may not join; null when it does, or when there is a reason that is not its own: nothing to do, no shard,
 * a broker or database that is away.
 */
export function stuckReason(
  { databaseAway, refused, state, since, lastProgressAt }: RelayStatus,
  now: number,
): string | null {
  if (refused !== null) return refused;
  if (state !== 'draining' || databaseAway) return null;
  const quiet = now - Math.max(since, lastProgressAt ?? 0);
  return quiet < STUCK_AFTER_MS ? null : `the relay has work and has sent nothing for ${Math.round(quiet / 1_000)} s`;
}

const ROWS_LOCKED =
  'somebody has locked rows of event_outbox that were sent or refused meanwhile: their sessions wait for his COMMIT or ROLLBACK';

/** Keeps the status and tells each outage once: a warning when it begins, a line when it is over. */
export class StatusBoard {
  #status: RelayStatus = {
    state: 'stopped',
    since: Date.now(),
    lastProgressAt: null,
    lastError: null,
    published: 0,
    found: 0,
    retried: 0,
    failed: 0,
    refused: null,
    databaseAway: false,
    delivery: 'at-least-once',
    shards: [],
  };
  #rowsLocked = false;
  readonly #partitionsAway = new Set<number>();
  readonly #logger: Logger;

  constructor(logger: Logger, delivery: DeliveryMode) {
    this.#logger = logger;
    this.#status = { ...this.#status, delivery };
  }

  get status(): RelayStatus {
    return this.#status;
  }

  enter(state: RelayState): void {
    if (this.#status.state === state) return;
    this.#status = { ...this.#status, state, since: Date.now() };
  }

  /** A claim brought rows. An open circuit stays open until the broker takes some. */
  draining(): void {
    if (this.#status.state !== 'stalled') this.enter('draining');
  }

  /** Nothing can be sent now. An open circuit stays open until the broker takes some. */
  resting(shards: number): void {
    if (this.#status.state === 'stalled' && shards > 0) return;
    this.enter(shards === 0 ? 'standby' : 'idle');
  }

  /** What it holds, and how that is. */
  holds(shards: readonly ShardReport[]): void {
    this.#status = { ...this.#status, shards };
    for (const shard of this.#partitionsAway) {
      if (!shards.some((held) => held.shard === shard)) this.#partitionsAway.delete(shard);
    }
  }

  /** One partition cannot be written, or not be read back; the others go on. */
  partitionUnavailable(shard: number, error: string): void {
    if (!this.#partitionsAway.has(shard)) {
      this.#logger.warn({ shard, error }, 'a partition is away: the others go on, nothing is charged');
    }
    this.#partitionsAway.add(shard);
    this.#status = { ...this.#status, lastError: error };
  }

  partitionAvailable(shard: number): void {
    if (this.#partitionsAway.delete(shard)) this.#logger.info({ shard }, 'the partition is there again');
  }

  /** The circuit opens. */
  stalled(error: string): void {
    if (this.#status.state !== 'stalled') {
      this.#logger.warn({ error }, 'the broker does not take records: waiting for it, nothing is charged');
    }
    this.#status = { ...this.#status, lastError: error };
    this.enter('stalled');
  }

  /** The broker answered: the circuit closes. */
  answered(): void {
    if (this.#status.state !== 'stalled') return;
    this.#logger.info('the broker takes records again');
    this.enter('draining');
  }

  published(count: number): void {
    this.#status = { ...this.#status, published: this.#status.published + count, lastProgressAt: Date.now() };
  }

  /** Marked SENT without being sent: the topic held them. */
  found(count: number): void {
    this.published(count);
    this.#status = { ...this.#status, found: this.#status.found + count };
  }

  retried(error: string): void {
    this.#status = { ...this.#status, retried: this.#status.retried + 1, lastError: error };
  }

  failed(error: string): void {
    this.#status = { ...this.#status, failed: this.#status.failed + 1, lastError: error };
  }

  /** It may not join; null: it has joined. */
  refused(reason: string | null): void {
    this.#status = { ...this.#status, refused: reason, lastError: reason ?? this.#status.lastError };
  }

  broken(error: string): void {
    this.#status = { ...this.#status, lastError: error };
  }

  databaseAway(error: string): void {
    if (!this.#status.databaseAway) this.#logger.warn({ error }, 'the database does not answer: trying again');
    this.#status = { ...this.#status, databaseAway: true, lastError: error };
  }

  databaseAnswered(): void {
    if (!this.#status.databaseAway) return;
    this.#logger.info('the database answers again');
    this.#status = { ...this.#status, databaseAway: false };
  }

  /** What became of rows cannot be written, because somebody else has them locked. */
  rowsLocked(rows: number, first: ClaimedRow): void {
    const error = `${rows} rows of event_outbox are locked by somebody else, first that of event ${first.eventId}`;
    if (!this.#rowsLocked) this.#logger.warn({ rows, ...identityOf(first) }, ROWS_LOCKED);
    this.#rowsLocked = true;
    this.#status = { ...this.#status, lastError: error };
  }

  rowsFree(): void {
    if (this.#rowsLocked) this.#logger.info('the locked rows of event_outbox are free again');
    this.#rowsLocked = false;
  }
}
