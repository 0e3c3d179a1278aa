import { LeaseKeeper } from '../../src/relay/lease-keeper.ts';
import { LeaseLost } from '../../src/relay/ports.ts';
import { SimulatedGroup, type GroupDefect } from './simulated-relay-group.ts';
import { SimulatedTime, type Chance } from './simulated-time.ts';

/** What happens to a relay at some time, in milliseconds from the beginning. */
export type Fault =
  | { readonly kind: 'start' | 'stop' | 'crash' | 'cut'; readonly at: number; readonly relay: number }
  | { readonly kind: 'freeze'; readonly at: number; readonly relay: number; readonly lasts: number };

export interface LeaseScenario {
  readonly shards: number;
  /** How fast each relay's clock runs, 1 is right; as many as there are relays. */
  readonly rates: readonly number[];
  /** How fast the database's clock runs. */
  readonly databaseRate: number;
  readonly faults: readonly Fault[];
  /** Part of the calls that are slow, refused, or whose answer is lost, until the last fault. */
  readonly trouble: number;
  readonly seed: number;
}

export interface LeaseWorldOptions {
  /** See LeaseKeeperOptions. */
  readonly trust?: number;
  readonly defect?: GroupDefect;
}

const BEAT_INTERVAL = 1_000;
const REJOIN_AFTER = 200;
/** Longest time until all is well again: a lease's term, a call that is given up, a session's end that is noticed late, some beats. */
const HEALED_WITHIN = 12_000;

/** A process: while it is frozen nothing reaches it, when it is dead nothing ever does. */
class SimulatedRelay {
  readonly #world: LeaseWorld;
  readonly #rate: number;
  readonly #leaving = new Set<number>();
  keeper: LeaseKeeper | null = null;
  frozen = false;
  #inbox: (() => void)[] = [];
  /** Counts the lives: what was meant for an earlier one is dropped. */
  #life = 0;
  /** To be started again once it has stopped. */
  #again = false;
  #member: number | null = null;
  #endSession: ((late: number) => void) | null = null;
  #stopping: AbortController | null = null;

  constructor(world: LeaseWorld, rate: number) {
    this.#world = world;
    this.#rate = rate;
  }

  get hasSession(): boolean {
    return this.#member !== null && this.#world.group.hasSession(this.#member);
  }

  get alive(): boolean {
    return this.#stopping !== null;
  }

  start(): void {
    this.#again = this.alive;
    if (this.alive) return;
    this.#life += 1;
    this.#stopping = new AbortController();
    void this.#run(this.#stopping);
  }

  stop(): void {
    this.#again = false;
    this.#deliver(this.#life, () => this.#stopping?.abort());
  }

  crash(): void {
    this.#life += 1;
    this.#stopping = null;
    this.keeper = null;
    this.frozen = false;
    this.#inbox = [];
    this.cut(20);
  }

  /** The connection ends; the database notices it some time later. */
  cut(late: number): void {
    this.#endSession?.(late);
  }

  freeze(): void {
    this.frozen = this.alive;
  }

  /** Everything that has arrived meanwhile, in its order; what a relay holds is judged before any of it. */
  async resume(): Promise<void> {
    if (!this.frozen) return;
    this.frozen = false;
    this.#world.judge();
    while (this.#inbox.length > 0 && !this.frozen) {
      this.#inbox.shift()?.();
      await this.#world.time.settle();
      this.#world.judge();
    }
  }

  /** Milliseconds on its clock. */
  readonly now = (): number => this.#world.time.now * this.#rate + 1_000_000;

  #deliver(life: number, run: () => void): void {
    if (life !== this.#life) return;
    if (this.frozen) this.#inbox.push(run);
    else run();
  }

  async #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    const life = this.#life;
    await new Promise<void>((resolve) => {
      this.#world.time.after(milliseconds / this.#rate, () => this.#deliver(life, resolve));
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  async #run(stopping: AbortController): Promise<void> {
    const life = this.#life;
    while (life === this.#life && !stopping.signal.aborted) {
      const { membership, end } = this.#world.group.connect((run) => this.#deliver(life, run));
      this.#endSession = end;
      this.#member = membership.id;
      await this.#stay(new LeaseKeeper(membership, this.now, this.#world.keeperOptions), stopping.signal);
      await membership.leave();
      this.keeper = null;
      await this.#sleep(REJOIN_AFTER, stopping.signal);
    }
    if (life !== this.#life) return;
    this.#stopping = null;
    if (this.#again) this.start();
  }

  async #stay(keeper: LeaseKeeper, stopping: AbortSignal): Promise<void> {
    this.keeper = keeper;
    this.#leaving.clear();
    const over = AbortSignal.any([keeper.lost, stopping]);
    while (!over.aborted) {
      try {
        const { leave } = await keeper.beat([]);
        for (const shard of leave) void this.#giveBackLater(keeper, shard, over);
      } catch (error) {
        if (error instanceof LeaseLost) return;
      }
      await this.#sleep(BEAT_INTERVAL, over);
    }
    const held = this.#world.shards.filter((shard) => keeper.holds(shard));
    await keeper.release(held.map(reportOf)).catch(() => {});
  }

  /** Something of the shard is still on its way. */
  async #giveBackLater(keeper: LeaseKeeper, shard: number, over: AbortSignal): Promise<void> {
    if (this.#leaving.has(shard)) return;
    this.#leaving.add(shard);
    await this.#sleep(this.#world.chance() * 300, over);
    if (!over.aborted && keeper.holds(shard)) await keeper.release([reportOf(shard)]).catch(() => {});
    this.#leaving.delete(shard);
  }
}

function reportOf(shard: number) {
  return { shard, floor: 1, position: '0', state: 'leaving', lastProgressAt: null, lastError: null } as const;
}

/** Relays that keep leases in one simulated group. */
export class LeaseWorld {
  readonly time = new SimulatedTime();
  readonly chance: Chance;
  readonly group: SimulatedGroup;
  readonly relays: readonly SimulatedRelay[];
  readonly shards: readonly number[];
  readonly keeperOptions: { readonly trust?: number };
  readonly violations: string[] = [];
  readonly #faults: readonly Fault[];

  constructor(scenario: LeaseScenario, { trust, defect }: LeaseWorldOptions = {}) {
    this.chance = this.time.chance(scenario.seed);
    this.keeperOptions = trust === undefined ? {} : { trust };
    this.shards = Array.from({ length: scenario.shards }, (_, shard) => shard);
    this.group = new SimulatedGroup(this.time, this.chance, {
      shards: scenario.shards,
      rate: scenario.databaseRate,
      trouble: scenario.trouble,
      defect,
    });
    this.relays = scenario.rates.map((rate) => new SimulatedRelay(this, rate));
    this.#faults = scenario.faults;
  }

  /** @returns once the faults are over and what they did is healed, or should be. */
  async run(): Promise<void> {
    let last = 0;
    for (const fault of this.#faults) {
      this.time.after(fault.at, () => this.#strike(fault));
      const end = fault.kind === 'freeze' ? fault.at + fault.lasts : fault.at;
      if (fault.kind === 'freeze') this.time.after(end, () => this.relays[fault.relay]?.resume());
      last = Math.max(last, end);
    }
    await this.time.run(last, () => this.judge());
    for (const relay of this.relays) await relay.resume();
    this.group.trouble = 0;
    await this.time.run(last + HEALED_WITHIN, () => this.judge());
  }

  /**
   * A process that is frozen does nothing, so it is asked as soon as it goes on. One whose session the database has ended and that has
   * not heard of it yet is not counted: others may take over at once, which is why a lease alone is no fence (ADR 9).
   */
  judge(): void {
    for (const shard of this.shards) {
      const holders = this.relays.flatMap(({ keeper, frozen, hasSession }, relay) =>
        keeper !== null && !frozen && keeper.holds(shard) && hasSession ? [relay] : [],
      );
      if (holders.length > 1) {
        this.violations.push(`${this.time.now} ms: shard ${shard} is held by relays ${holders.join(', ')}`);
      }
    }
  }

  /** How many shards each relay that is alive holds. */
  shares(): readonly number[] {
    return this.relays
      .filter(({ alive }) => alive)
      .map(({ keeper }) => this.shards.filter((shard) => keeper?.holds(shard)).length);
  }

  #strike(fault: Fault): void {
    const relay = this.relays[fault.relay];
    if (fault.kind === 'cut') relay?.cut(this.chance() * 1_000);
    else relay?.[fault.kind]();
  }
}
