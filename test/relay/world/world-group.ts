import {
  LeaseLost,
  type Membership,
  type OutboxStore,
  type RelayGroup,
  type ShardReport,
} from '../../../src/relay/ports.ts';
import type { WorldTables } from './world-tables.ts';

interface WorldShard {
  readonly shard: number;
  owner: number | null;
  epoch: number;
  expiresAt: number;
  floor: number;
  position: string;
  paused: boolean;
  ids: string[];
}

interface Member {
  readonly id: number;
  readonly lost: AbortController;
  expiresAt: number;
}

export interface GroupMishaps {
  /** Whether the next statement is refused by the database. */
  readonly refused: () => boolean;
  readonly delay: () => Promise<void>;
}

/** relay_members and relay_shards in memory, by the rules of the real ones. */
export class WorldGroup implements RelayGroup {
  readonly shards: WorldShard[];
  readonly members = new Map<number, Member>();
  readonly #tables: WorldTables;
  readonly #mishaps: GroupMishaps;
  readonly #ttl: number;
  #ids = 0;
  topicAhead: string | null = null;

  constructor(shards: number, tables: WorldTables, mishaps: GroupMishaps, ttl: number) {
    this.#tables = tables;
    this.#mishaps = mishaps;
    this.#ttl = ttl;
    this.shards = Array.from({ length: shards }, (_, shard) => {
      return { shard, owner: null, epoch: 0, expiresAt: 0, floor: 1, position: '0', paused: false, ids: [] };
    });
  }

  /** The connection of a member is cut: others see it at once, the member itself as soon as it asks. */
  cut(id: number): void {
    const member = this.members.get(id);
    this.members.delete(id);
    setTimeout(() => member?.lost.abort(new Error('cut')), 2);
  }

  /** A member is given up by the others without a word: it was frozen. Whatever it does now is done by a zombie. */
  expire(id: number): void {
    const member = this.members.get(id);
    if (member !== undefined) member.expiresAt = -Infinity;
    for (const shard of this.shards) if (shard.owner === id) shard.expiresAt = -Infinity;
  }

  async join(): Promise<Membership> {
    await this.#mishaps.delay();
    this.#ids += 1;
    const member = { id: this.#ids, lost: new AbortController(), expiresAt: performance.now() + this.#ttl };
    this.members.set(member.id, member);
    const transactionalId = `relay-${member.id}`;
    const turn = async () => {
      await this.#mishaps.delay();
      if (member.lost.signal.aborted) throw new LeaseLost('lost');
      if (this.#mishaps.refused()) throw new Error('statement timeout');
    };
    return {
      id: member.id,
      transactionalId,
      ttl: this.#ttl,
      lost: member.lost.signal,
      store: this.#store(member, turn),
      beat: async (reports) => {
        await turn();
        return this.#beat(member, reports);
      },
      acquire: async (wanted) => {
        await turn();
        const taken = this.shards.filter((shard) => wanted.includes(shard.shard) && this.#vacant(shard));
        return taken.map((shard) => {
          const predecessors = shard.ids;
          Object.assign(shard, { owner: member.id, epoch: shard.epoch + 1, expiresAt: performance.now() + this.#ttl });
          shard.ids = [...predecessors, transactionalId];
          return { shard: shard.shard, epoch: shard.epoch, floor: shard.floor, position: shard.position, predecessors };
        });
      },
      release: async (reports, inDoubt = false) => {
        await turn();
        this.#report(member, reports);
        for (const { shard } of reports) this.#free(member, shard, inDoubt ? null : transactionalId);
      },
      reportTopicAhead: async (_shard, offset) => {
        this.topicAhead = offset;
      },
      leave: async () => {
        this.members.delete(member.id);
        member.lost.abort(new Error('left'));
      },
    };
  }

  holds(member: number, shard: number): boolean {
    const one = this.shards[shard];
    return one?.owner === member && one.expiresAt > performance.now();
  }

  /** @param ended A transactional id that has nothing open. */
  #free(member: Member, shard: number, ended: string | null): void {
    const one = this.shards[shard];
    if (one?.owner === member.id) Object.assign(one, { owner: null, ids: one.ids.filter((id) => id !== ended) });
  }

  #vacant({ owner, expiresAt }: WorldShard): boolean {
    return owner === null || expiresAt <= performance.now() || !this.members.has(owner);
  }

  #alive(): Member[] {
    return [...this.members.values()].filter(({ expiresAt }) => expiresAt > performance.now());
  }

  #beat(member: Member, reports: readonly ShardReport[]) {
    const now = performance.now();
    if (member.expiresAt > now) member.expiresAt = now + this.#ttl;
    const held = this.shards.filter(({ shard }) => this.holds(member.id, shard));
    for (const shard of held) shard.expiresAt = now + this.#ttl;
    this.#report(member, reports);
    const view = {
      members: this.#alive().map(({ id }) => id),
      shards: this.shards.map((one) => {
        const { shard, owner, epoch, paused } = one;
        return { shard, owner, epoch, paused, vacant: this.#vacant(one) };
      }),
    };
    return { view, held: held.map(({ shard }) => shard) };
  }

  #report(member: Member, reports: readonly ShardReport[]): void {
    for (const { shard, floor, position, state } of reports) {
      const one = this.shards[shard];
      if (one === undefined || !this.holds(member.id, shard)) continue;
      Object.assign(one, { floor, position });
      if (state === 'active') one.ids = [`relay-${member.id}`];
    }
  }

  #store(member: Member, turn: () => Promise<void>): OutboxStore {
    const tables = this.#tables;
    return {
      claim: async (request) => {
        await turn();
        const shards = request.shards.filter(
          (shard) => this.holds(member.id, shard) && this.shards[shard]?.paused === false,
        );
        return tables.claim({ ...request, shards });
      },
      markSent: async (sent) => {
        await turn();
        return sent.map(({ id }) => id).filter((id) => !tables.markSent(id));
      },
      markFound: async (records) => {
        await turn();
        return tables.markFound(records);
      },
      findForeign: async (records) => {
        await turn();
        return records.filter(({ key, sequence }) => {
          return tables.bySession.get(key)?.some((row) => row.sequence === sequence && row.visible) !== true;
        });
      },
      charge: async ({ id, shard }, next) => {
        await turn();
        if (!this.holds(member.id, shard)) return 'lost';
        const row = tables.row(id);
        if (tables.locked.has(id)) return 'locked';
        if (row.status === 'PENDING') tables.charge(row, next);
        return 'charged';
      },
      settleHolds: async (sessions) => {
        await turn();
        for (const session of sessions) tables.settle(session);
      },
      nextRetryIn: async (shards) => {
        await turn();
        return tables.nextRetryIn(shards);
      },
    };
  }
}
