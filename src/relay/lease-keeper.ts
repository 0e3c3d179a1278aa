import { planShards } from './plan-shards.ts';
import { LeaseLost, type AcquiredShard, type GroupView, type Membership, type ShardReport } from './ports.ts';

/** What a beat has changed, and what it asks for. */
export interface Kept {
  /** Shards that are ours from now on. */
  readonly acquired: readonly AcquiredShard[];
  /** Shards to be given back as soon as nothing of theirs is on its way: others lack them. Told with each beat until it is done. */
  readonly leave: readonly number[];
  /** Shards that an operator has paused, whoever owns them. */
  readonly paused: readonly number[];
}

export interface LeaseKeeperOptions {
  /**
   * The part of the leases' term for which they are trusted. What is left covers clocks that run at different rates: ours and the
   * database's may differ by a tenth. Default 0.9.
   */
  readonly trust?: number;
}

interface KeptLease {
  /** Until when it is trusted, by our clock. */
  until: number;
  /** It is being given back. */
  releasing: boolean;
}

/**
 * Knows which shards are ours at this moment. A lease counts from before its renewal was sent, on a clock that nobody sets, so it ends
 * here before it ends in the database: a relay that was frozen finds that out by itself, before it asks anybody. Source: C. Gray,
 * D. Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed file cache consistency", 1989.
 */
export class LeaseKeeper {
  readonly #membership: Membership;
  readonly #now: () => number;
  readonly #term: number;
  readonly #leases = new Map<number, KeptLease>();
  readonly #expired = new AbortController();
  /** Aborts once nothing is ours any more, for this whole membership; its reason says why. */
  readonly lost: AbortSignal;

  /** @param now Milliseconds on a monotonic clock that goes on while the process is frozen. */
  constructor(membership: Membership, now: () => number, { trust = 0.9 }: LeaseKeeperOptions = {}) {
    this.#membership = membership;
    this.#now = now;
    this.#term = membership.ttl * trust;
    this.lost = AbortSignal.any([membership.lost, this.#expired.signal]);
  }

  /** Whether the shard is ours now. To be asked directly before anything is done that only its owner may do. */
  holds(shard: number): boolean {
    if (this.#isLost()) return false;
    const lease = this.#leases.get(shard);
    return lease !== undefined && !lease.releasing;
  }

  /**
   * Renews what is ours, takes vacant shards up to our share, and tells what to give back. One at a time; about every second.
   * @throws LeaseLost when nothing is ours any more; the driver's error when the database refused the statement: nothing changed, the
   * next beat may still be in time
   */
  async beat(reports: readonly ShardReport[]): Promise<Kept> {
    this.#throwIfLost();
    const sent = this.#now();
    const { view, held } = await this.#membership.beat(reports);
    this.#throwIfLost();
    this.#renew(held, sent + this.#term);
    if (!view.members.includes(this.#membership.id)) this.#lose('the membership has expired');
    this.#throwIfLost();
    const plan = planShards(this.#correct(view), this.#membership.id);
    const acquired = plan.acquire.length === 0 ? [] : await this.#acquire(plan.acquire);
    return { acquired, leave: plan.leave, paused: view.shards.filter((one) => one.paused).map(({ shard }) => shard) };
  }

  /**
   * Gives shards back; from the call on they are not ours. `inDoubt`: the next owner is to fence us first.
   * @throws LeaseLost when nothing is ours any more; the driver's error when the database refused the statement: they are ours again
   */
  async release(reports: readonly ShardReport[], inDoubt = false): Promise<void> {
    this.#throwIfLost();
    const leases = reports.flatMap(({ shard }) => this.#leases.get(shard) ?? []);
    for (const lease of leases) lease.releasing = true;
    try {
      await this.#membership.release(reports, inDoubt);
    } catch (error) {
      if (!(error instanceof LeaseLost)) for (const lease of leases) lease.releasing = false;
      throw error;
    }
    for (const { shard } of reports) this.#leases.delete(shard);
  }

  #renew(held: readonly number[], until: number): void {
    for (const [shard, lease] of this.#leases) {
      if (held.includes(shard)) lease.until = until;
      else if (!lease.releasing) this.#lose(`the lease of shard ${shard} is gone`);
    }
  }

  async #acquire(shards: readonly number[]): Promise<readonly AcquiredShard[]> {
    const until = this.#now() + this.#term;
    const acquired = await this.#membership.acquire(shards);
    for (const { shard } of acquired) this.#leases.set(shard, { until, releasing: false });
    this.#throwIfLost();
    // The database gives them in any order; people read them in the log.
    return acquired.toSorted((one, other) => one.shard - other.shard);
  }

  /** The view is older than what we have given back since: such a shard is neither ours nor vacant. */
  #correct(view: GroupView): GroupView {
    const me = this.#membership.id;
    const ours = (shard: number) => this.#leases.get(shard)?.releasing === false;
    return {
      members: view.members,
      shards: view.shards.map((one) => (one.owner !== me || ours(one.shard) ? one : { ...one, owner: null })),
    };
  }

  #isLost(): boolean {
    if (this.lost.aborted) return true;
    const now = this.#now();
    for (const [shard, { until }] of this.#leases) {
      if (now >= until) {
        this.#lose(`the lease of shard ${shard} was not renewed in time`);
        return true;
      }
    }
    return false;
  }

  #lose(reason: string): void {
    this.#expired.abort(new LeaseLost(reason));
  }

  #throwIfLost(): void {
    if (!this.#isLost()) return;
    const reason: unknown = this.lost.reason;
    throw reason instanceof LeaseLost ? reason : new LeaseLost('the lease is gone', { cause: reason });
  }
}
