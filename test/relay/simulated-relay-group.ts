import {
  LeaseLost,
  type AcquiredShard,
  type Beat,
  type GroupView,
  type Membership,
  type OutboxStore,
} from '../../src/relay/ports.ts';
import type { Chance, SimulatedTime } from './simulated-time.ts';

/** What a database might do wrong. */
export type GroupDefect = 'gives away what is held';

export interface SimulatedGroupOptions {
  readonly shards: number;
  /** How fast its clock runs, 1 is right. */
  readonly rate: number;
  /** Part of the calls that are slow, refused, or whose answer is lost. */
  readonly trouble: number;
  readonly defect: GroupDefect | undefined;
}

const TTL = 5_000;
/** As the real one. */
const CALL_TIMEOUT = 3_000;

interface Shard {
  owner: number | null;
  expiresAt: number;
  epoch: number;
}

interface Member {
  expiresAt: number;
  /** Its session has not ended, as far as the database knows. */
  session: boolean;
}

/** What becomes of a call; lost: its answer. */
type Fate = 'ordinary' | 'slow' | 'refused' | 'lost';
const FATES: readonly Fate[] = ['slow', 'slow', 'refused', 'lost'];

/** Lets something happen in the process that is connected, when it can. */
type Deliver = (run: () => void) => void;

/** src/postgres/relay-group.ts with time and network in our hands: each call is one step of the database. */
export class SimulatedGroup {
  readonly time: SimulatedTime;
  readonly chance: Chance;
  readonly #rate: number;
  readonly #defect: GroupDefect | undefined;
  readonly #shards: readonly Shard[];
  readonly #members = new Map<number, Member>();
  trouble: number;

  constructor(time: SimulatedTime, chance: Chance, { shards, rate, trouble, defect }: SimulatedGroupOptions) {
    this.time = time;
    this.chance = chance;
    this.#rate = rate;
    this.#defect = defect;
    this.trouble = trouble;
    this.#shards = Array.from({ length: shards }, () => ({ owner: null, expiresAt: 0, epoch: 0 }));
  }

  connect(deliver: Deliver): { readonly membership: Membership; readonly end: (late: number) => void } {
    const id = this.#members.size + 1;
    this.#members.set(id, { expiresAt: this.#now() + TTL, session: true });
    const membership = new SimulatedMembership(this, id, deliver);
    return { membership, end: (late) => membership.end(late) };
  }

  beat(id: number): Beat {
    const member = this.#members.get(id);
    const alive = this.#isAlive(id);
    if (alive && member !== undefined) member.expiresAt = this.#now() + TTL;
    const held = alive ? this.#renew(id) : [];
    return { view: this.#view(), held };
  }

  acquire(id: number, wanted: readonly number[]): readonly AcquiredShard[] {
    if (!this.#isAlive(id)) return [];
    return wanted.flatMap((number) => {
      const shard = this.#shards[number];
      if (shard === undefined || !(this.#isVacant(shard) || this.#defect === 'gives away what is held')) return [];
      Object.assign(shard, { owner: id, expiresAt: this.#now() + TTL, epoch: shard.epoch + 1 });
      return [{ shard: number, epoch: shard.epoch, floor: 1, position: '0', predecessors: [] }];
    });
  }

  release(id: number, given: readonly number[]): void {
    for (const number of given) {
      const shard = this.#shards[number];
      if (shard?.owner === id) shard.owner = null;
    }
  }

  endSession(id: number): void {
    const member = this.#members.get(id);
    if (member !== undefined) member.session = false;
  }

  hasSession(id: number): boolean {
    return this.#members.get(id)?.session === true;
  }

  #renew(id: number): readonly number[] {
    const held: number[] = [];
    for (const [number, shard] of this.#shards.entries()) {
      if (shard.owner !== id || shard.expiresAt <= this.#now()) continue;
      shard.expiresAt = this.#now() + TTL;
      held.push(number);
    }
    return held;
  }

  #view(): GroupView {
    return {
      members: [...this.#members.keys()].filter((id) => this.#isAlive(id)),
      shards: this.#shards.map((shard, number) => {
        const vacant = this.#isVacant(shard);
        return { shard: number, owner: shard.owner, vacant, epoch: shard.epoch, paused: false };
      }),
    };
  }

  #isVacant({ owner, expiresAt }: Shard): boolean {
    return owner === null || expiresAt <= this.#now() || this.#members.get(owner)?.session === false;
  }

  #isAlive(id: number): boolean {
    const member = this.#members.get(id);
    return member !== undefined && member.session && member.expiresAt > this.#now();
  }

  #now(): number {
    return this.time.now * this.#rate;
  }
}

/** A link to the database: calls and answers keep their order, each takes its time. */
class SimulatedMembership implements Membership {
  readonly id: number;
  readonly transactionalId: string;
  readonly ttl = TTL;
  readonly #group: SimulatedGroup;
  readonly #deliver: Deliver;
  readonly #lost = new AbortController();
  readonly #waiting = new Set<(error: Error) => void>();
  #lastArrival = 0;
  #lastAnswer = 0;

  constructor(group: SimulatedGroup, id: number, deliver: Deliver) {
    this.id = id;
    this.transactionalId = `genesis-relay-${id}`;
    this.#group = group;
    this.#deliver = deliver;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get store(): OutboxStore {
    throw new Error('the simulation claims nothing');
  }

  beat(): Promise<Beat> {
    return this.#call(() => this.#group.beat(this.id));
  }

  acquire(shards: readonly number[]): Promise<readonly AcquiredShard[]> {
    return this.#call(() => this.#group.acquire(this.id, shards));
  }

  release(reports: readonly { readonly shard: number }[]): Promise<void> {
    return this.#call(() =>
      this.#group.release(
        this.id,
        reports.map(({ shard }) => shard),
      ),
    );
  }

  reportTopicAhead(): Promise<void> {
    throw new Error('the simulation has no topic');
  }

  async leave(): Promise<void> {
    this.end(this.#delay('ordinary'));
    await Promise.resolve();
  }

  /** The process learns it at once if it can, the database after a while. */
  end(late: number): void {
    this.#group.time.after(late, () => this.#group.endSession(this.id));
    this.#deliver(() => this.#lose());
  }

  #lose(): void {
    this.#lost.abort(new LeaseLost('the connection is gone'));
    for (const reject of this.#waiting) reject(new LeaseLost('the connection is gone'));
    this.#waiting.clear();
  }

  async #call<Result>(step: () => Result): Promise<Result> {
    if (this.#lost.signal.aborted) throw new LeaseLost('the connection is gone');
    const { time, chance } = this.#group;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const fate = this.#fate();
    const answer = (settle: () => void) => {
      this.#lastAnswer = Math.max(this.#lastAnswer, time.now + this.#delay(fate));
      time.after(this.#lastAnswer - time.now, () => this.#deliver(settle));
    };
    this.#lastArrival = Math.max(this.#lastArrival, time.now + this.#delay(fate));
    time.after(this.#lastArrival - time.now, () => {
      if (!this.#group.hasSession(this.id)) return;
      if (fate === 'refused') {
        answer(() => reject(new Error('the database refused the statement')));
        return;
      }
      const result = step();
      if (fate !== 'lost') answer(() => resolve(result));
    });
    time.after(CALL_TIMEOUT, () => this.#deliver(() => this.#waiting.has(reject) && this.end(chance() * 1_000)));
    this.#waiting.add(reject);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(reject);
    }
  }

  #fate(): Fate {
    const { chance, trouble } = this.#group;
    if (chance() >= trouble) return 'ordinary';
    return FATES[Math.floor(chance() * FATES.length)] ?? 'slow';
  }

  #delay(fate: Fate): number {
    return this.#group.chance() * (fate === 'slow' ? 1_400 : 3);
  }
}
