import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { DeliveryModeDiffers, type Membership, type NewMember, type RelayGroup } from '../relay/ports.ts';
import { RelayMembership } from './relay-membership.ts';
import { sql } from './sql.ts';
import { openWatchedConnection, type WatchedConnection } from './watched-connection.ts';

export interface RelayGroupOptions {
  /** Milliseconds for which a beat or an acquisition holds. Default 5,000. */
  readonly ttl?: number;
  /**
   * Milliseconds without an answer to a beat after which the membership counts as lost. With the interval between beats less than what
   * a lease is trusted for: so a relay that waits for something else is told before its leases end. Default 3,000.
   */
  readonly beatTimeout?: number;
  /** Milliseconds between tries while a relay of a version without shards is at work. Default 500. */
  readonly standbyInterval?: number;
  /** Called once per wait for such a relay. */
  readonly onStandby?: () => void;
  /** Milliseconds without an answer after which a connection that claims or marks counts as lost. Default 10,000. */
  readonly callTimeout?: number;
  /** Milliseconds between heartbeats of a connection that is not used. Default 2,000. */
  readonly heartbeatInterval?: number;
}

const SHARE_WITH_OLD_RELAYS = sql('relay/share-with-old-relays');
const ONE_JOIN_AT_A_TIME = sql('relay/one-join-at-a-time');
const DIFFERING_MEMBER = sql('relay/differing-member');
const SWEEP = sql('relay/sweep');
const JOIN = sql('relay/join');

type Options = Required<Omit<RelayGroupOptions, 'onStandby'>> & Pick<RelayGroupOptions, 'onStandby'>;

/**
 * The relays of a database as rows of relay_members, and their leases as rows of relay_shards (docs/adr/0009-shard-leases.md). Each
 * member has three connections of its own: a claim that takes long keeps no beat waiting, nor a mark. They must be direct ones: a pooler
 * that shares sessions breaks the advisory locks by which others see at once that a member's session has ended.
 */
export function createRelayGroup(databaseUrl: string, options: RelayGroupOptions = {}): RelayGroup {
  const complete: Options = {
    ttl: 5_000,
    beatTimeout: 3_000,
    standbyInterval: 500,
    callTimeout: 10_000,
    heartbeatInterval: 2_000,
    ...options,
  };
  return { join: (member, signal) => join(databaseUrl, complete, member, signal) };
}

async function join(url: string, options: Options, member: NewMember, signal: AbortSignal): Promise<Membership> {
  const { ttl, beatTimeout, callTimeout, heartbeatInterval } = options;
  const opened: WatchedConnection[] = [];
  const open = async (applicationName: string, limit: number): Promise<WatchedConnection> => {
    const connection = await openWatchedConnection(url, {
      applicationName,
      callTimeout: limit,
      heartbeatInterval,
      signal,
    });
    opened.push(connection);
    return connection;
  };
  // A database that does not answer must not keep who wants to stop.
  const giveUp = () => {
    for (const connection of opened) connection.close();
  };
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    const leases = await open('genesis-relay-leases', beatTimeout);
    await shareWithOldRelays(leases, options, signal);
    const outbox = await open('genesis-relay', callTimeout);
    const marks = await open('genesis-relay-marks', callTimeout);
    const joined = await enter(leases, member, ttl);
    signal.throwIfAborted();
    return new RelayMembership({ ...joined, ttl, leases, outbox, marks });
  } catch (error) {
    giveUp();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

/** The wait polls: a statement that waits for the lock would hold back vacuum for as long as it waits. */
async function shareWithOldRelays(leases: WatchedConnection, options: Options, signal: AbortSignal): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    signal.throwIfAborted();
    const [row] = await leases.query<{ shared: boolean }>(SHARE_WITH_OLD_RELAYS, []);
    if (row?.shared === true) return;
    if (tries === 0) options.onStandby?.();
    await sleep(options.standbyInterval, undefined, { signal });
  }
}

interface Joined {
  readonly id: number;
  readonly transactionalId: string;
  /** Its transactions have a name that others must fence. */
  readonly transactional: boolean;
}

async function enter(leases: WatchedConnection, { name, delivery }: NewMember, ttl: number): Promise<Joined> {
  await leases.query('BEGIN', []);
  await leases.query(ONE_JOIN_AT_A_TIME, []);
  const [other] = await leases.query<{ id: number; name: string; delivery: string }>(DIFFERING_MEMBER, [delivery]);
  if (other !== undefined) {
    throw new DeliveryModeDiffers(
      `relay ${other.id} (${other.name}) delivers ${other.delivery}, this one is to deliver ${delivery}: ` +
        'stop all relays before you change RELAY_DELIVERY',
    );
  }
  await leases.query(SWEEP, []);
  const [row] = await leases.query<{ id: number; database: string }>(JOIN, [name, delivery, ttl]);
  if (row === undefined) throw new Error('relay_members took no row');
  await leases.query('COMMIT', []);
  const { id, database } = row;
  return { id, transactionalId: transactionalIdOf(database, id), transactional: delivery === 'exactly-once' };
}

/**
 * Random at its end, because a copy of a database, or one that was restored, gives the same member ids again: its relays are not to
 * fence those of the original. The prefix is what an ACL may name. At most 150 characters.
 */
function transactionalIdOf(database: string, id: number): string {
  const readable = database.replaceAll(/[^\w.-]/gu, '_').slice(0, 100);
  return `genesis-relay-${readable}-${id}-${randomBytes(8).toString('hex')}`;
}
