import { setTimeout as sleep } from 'node:timers/promises';
import { pino, type Logger } from 'pino';
import { createLocalWakeup } from '../../../src/relay/local-wakeup.ts';
import type { DeliveryMode, OutgoingRecord } from '../../../src/relay/ports.ts';
import { Relay, type RelayOptions } from '../../../src/relay/relay.ts';
import { WorldGroup } from './world-group.ts';
import { WorldTables, type WorldRow } from './world-tables.ts';
import { WorldTopic } from './world-topic.ts';

/** Chances by which things go wrong, 0–1. */
export interface Chances {
  readonly outage: number;
  readonly answerLost: number;
  readonly partitionAway: number;
  readonly statementRefused: number;
}

export const CALM: Chances = { outage: 0, answerLost: 0, partitionAway: 0, statementRefused: 0 };

const SHARDS = 3;
const LEASE_MS = 60;

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** An outbox, a topic and a group of relays in memory, whose misfortunes a seed chooses. */
export class World {
  readonly tables = new WorldTables();
  readonly topic: WorldTopic;
  readonly group: WorldGroup;
  readonly random: () => number;
  readonly wakeup = createLocalWakeup();
  readonly relays: Relay[] = [];
  /** What the relays have called a defect of their own. */
  readonly defects: string[] = [];
  readonly #delivery: DeliveryMode;
  chances: Chances = CALM;
  /** Milliseconds that a commit takes from its answer until readers see it; null: as long as the other steps. */
  commitsTake: number | null = null;

  constructor(seed: number, delivery: DeliveryMode) {
    this.random = randomOf(seed);
    this.#delivery = delivery;
    const delay = async () => {
      const draw = this.random();
      // Most answers come at once, some after a while, a few long after a lease is over.
      if (draw > 0.5) await sleep(draw > 0.99 && this.chances !== CALM ? LEASE_MS * 1.5 : draw * 2);
      else await new Promise((resolve) => void setImmediate(resolve));
    };
    this.topic = new WorldTopic(SHARDS, {
      delay,
      untilCommitted: () => (this.commitsTake === null ? delay() : sleep(this.commitsTake)),
      outage: () => this.#happens('outage'),
      answerLost: () => this.#happens('answerLost'),
      partitionAway: () => this.#happens('partitionAway'),
      refuses: (record, alone) => this.#refuses(record, alone),
    });
    this.group = new WorldGroup(
      SHARDS,
      this.tables,
      { delay, refused: () => this.#happens('statementRefused') },
      LEASE_MS,
    );
  }

  relay(options: Partial<RelayOptions> = {}): Relay {
    const relay = new Relay(
      {
        group: this.group,
        publisher: this.topic.publisher(),
        probe: this.topic.publisher(),
        transactions: this.topic.transactional(),
        reader: this.topic.reader(),
        wakeup: this.wakeup,
        logger: this.#logger(),
      },
      {
        pollInterval: 5,
        batchSize: 4,
        batchMax: 16,
        delivery: this.#delivery,
        onFailed: 'hold',
        backoff: { first: 0.5, most: 4 },
        beatInterval: 8,
        stopGrace: 200,
        ...options,
      },
    );
    this.relays.push(relay);
    return relay;
  }

  #logger(): Logger {
    const note = (line: string): void => {
      if (line.includes('a defect')) this.defects.push(line);
      if (process.env['TEST_LOG_LEVEL'] !== undefined) process.stdout.write(line);
    };
    return pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'error' }, { write: note });
  }

  /** A command's transaction: takes the session's next row, and commits after a while. */
  async commit(session: number, refusals = 0): Promise<WorldRow> {
    const name = `session-${session}`;
    await this.#locks.get(name);
    const row = this.tables.insert(name, session % SHARDS, refusals);
    const committed = sleep(this.random() * 4).then(() => void (row.visible = true));
    this.#locks.set(name, committed);
    await committed;
    this.wakeup.notify();
    return row;
  }
  readonly #locks = new Map<string, Promise<void>>();

  /** Nothing is left that a relay could send, and readers see what was sent. */
  get settled(): boolean {
    if (!this.topic.quiet) return false;
    return [...this.tables.bySession.values()].every((rows) => {
      const first = rows.find((row) => !row.visible || WorldTables.unsettled(row));
      return first === undefined || first.status === 'FAILED';
    });
  }

  /** What is not settled, and what everybody thinks of it. */
  describe(): string {
    const open = this.tables.rows.filter((row) => WorldTables.unsettled(row) || !row.visible);
    return JSON.stringify(
      {
        open,
        holds: [...this.tables.holds],
        shards: this.group.shards,
        relays: this.relays.map((relay) => relay.status()),
      },
      null,
      1,
    );
  }

  /** Sequences of a session as a consumer sees them, every copy. */
  log(session: string): number[] {
    const shard = this.tables.bySession.get(session)?.[0]?.shard ?? 0;
    return this.topic
      .committed(shard)
      .filter(({ key }) => key === session)
      .map(({ sequence }) => sequence);
  }

  #happens(what: keyof Chances): boolean {
    return this.random() < this.chances[what];
  }

  /** A record is refused a number of times, or until an operator has seen to it. Its marker never is. */
  #refuses({ key, headers, payload }: OutgoingRecord, alone: boolean): boolean {
    const row = this.tables.bySession.get(key)?.find(({ sequence }) => String(sequence) === headers['sequence']);
    if (row === undefined || row.refusals === 0 || payload === null) return false;
    if (alone && row.refusals < FOR_GOOD) row.refusals -= 1;
    return true;
  }
}

/** As many refusals as no row survives. */
const FOR_GOOD = 5;
