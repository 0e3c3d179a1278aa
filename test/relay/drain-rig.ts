import { Drain } from '../../src/relay/drain.ts';
import { LeaseKeeper } from '../../src/relay/lease-keeper.ts';
import { createLocalWakeup } from '../../src/relay/local-wakeup.ts';
import { OwnedShards } from '../../src/relay/owned-shards.ts';
import type { ClaimedRow, ClaimRequest, Membership, OutboxStore, Publisher } from '../../src/relay/ports.ts';
import { OutcomeRecorder } from '../../src/relay/record-outcomes.ts';
import { StatusBoard } from '../../src/relay/relay-status.ts';
import { WorkSignal } from '../../src/relay/wait-for-work.ts';
import { silent } from '../support/commands.ts';

const DELIVERY = 'at-least-once';
const BACKOFF = { first: 1, most: 1 };
const A_LONG_TIME = 60_000;

export interface DrainScript {
  /** What a claim gives. */
  readonly claimed: (request: ClaimRequest) => readonly ClaimedRow[];
  /** What happens while a send is on its way. */
  readonly sending?: (rig: DrainRig) => void | Promise<void>;
  /** Of the shards 0, 1, …: no ordinary row below is to be sent. Default: one shard. */
  readonly floors?: readonly number[];
  /** Milliseconds. Default: longer than a test takes. */
  readonly pollInterval?: number;
}

/** A drain that holds its shards from the beginning, at least once. What database and broker answer is up to a test. */
export class DrainRig {
  readonly shards = new OwnedShards(BACKOFF);
  readonly work = new WorkSignal(createLocalWakeup());
  /** `claim`, `claim in between`, each with its shards; `send` and `probe` with payloads: in the order in which they begin. */
  readonly steps: string[] = [];
  readonly #script: DrainScript;
  readonly #stopping = new AbortController();
  readonly #floors: readonly number[];
  #taken = false;
  #offset = 0;
  #most = Infinity;

  constructor(script: DrainScript) {
    this.#script = script;
    this.#floors = script.floors ?? [1];
  }

  /** Takes all shards; they are active. */
  async #takeShards(keeper: LeaseKeeper): Promise<void> {
    const { acquired } = await keeper.beat([]);
    for (const shard of acquired) this.shards.add(shard);
    for (const owned of this.shards.all()) {
      this.shards.activate(owned);
      owned.compared = true;
    }
  }

  /** Drains until so many steps have begun, and gives these. Rejects as the drain does. */
  async run(steps: number, prepare: (shards: OwnedShards) => void = () => undefined): Promise<readonly string[]> {
    this.#most = steps;
    const membership = this.#membership();
    const keeper = new LeaseKeeper(membership, () => performance.now());
    await this.#takeShards(keeper);
    prepare(this.shards);
    const board = new StatusBoard(silent, DELIVERY);
    const publisher = this.#publisher('send');
    const drain = new Drain({
      membership,
      keeper,
      shards: this.shards,
      publisher,
      transactions: { ...publisher, isOpen: false, open: () => never('open'), fence: () => never('fence') },
      probe: this.#publisher('probe'),
      reader: { last: () => never('last'), from: () => never('from'), close: async () => {} },
      recorder: new OutcomeRecorder({ logger: silent, board, backoff: BACKOFF, onFailed: 'hold', onPublished() {} }),
      board,
      work: this.work,
      logger: silent,
      options: {
        delivery: DELIVERY,
        batchSize: 100,
        batchMax: 100,
        maxPartitionBytes: 1_000_000,
        pollInterval: this.#script.pollInterval ?? A_LONG_TIME,
        beatInterval: A_LONG_TIME,
        backoff: BACKOFF,
      },
    });
    await drain.run(this.#stopping.signal);
    return this.steps.slice(0, steps);
  }

  #begin(step: string): void {
    this.steps.push(step);
    if (this.steps.length >= this.#most) this.#stopping.abort();
  }

  #publisher(name: string): Publisher {
    return {
      send: async (records) => {
        this.#begin(`${name} ${records.map(({ payload }) => payload).join(' ')}`);
        await this.#script.sending?.(this);
        return records.map(({ shard }) => {
          this.#offset += 1;
          return { kind: 'acknowledged', partition: shard, offset: String(this.#offset) };
        });
      },
      close: async () => {},
    };
  }

  #store(): OutboxStore {
    return {
      claim: async (request) => {
        const { alsoHeld, shards } = request;
        this.#begin(`claim${alsoHeld ? '' : ' in between'} of ${shards.join(' ')}`);
        return { shards, rows: this.#script.claimed(request), complete: true, horizon: 1 };
      },
      markSent: async () => [],
      markFound: async () => ({ marked: 0, locked: [] }),
      findForeign: async () => [],
      charge: async () => 'charged',
      settleHolds: async () => {},
      nextRetryIn: async () => null,
    };
  }

  #membership(): Membership {
    const shards = this.#floors.map((_, shard) => shard);
    return {
      id: 1,
      transactionalId: 'relay-1',
      ttl: A_LONG_TIME,
      store: this.#store(),
      lost: new AbortController().signal,
      beat: async () => {
        const held = { owner: this.#taken ? 1 : null, vacant: !this.#taken, epoch: 1, paused: false };
        return {
          view: { members: [1], shards: shards.map((shard) => ({ shard, ...held })) },
          held: this.#taken ? shards : [],
        };
      },
      acquire: async (wanted) => {
        this.#taken = true;
        return wanted.map((shard) => {
          return { shard, epoch: 1, floor: this.#floors[shard] ?? 1, position: '0', predecessors: [] };
        });
      },
      release: async () => {},
      reportTopicAhead: async () => {},
      leave: async () => {},
    };
  }
}

function never(what: string): never {
  throw new Error(`nobody asks for ${what}`);
}
