import {
  PublisherUnavailable,
  type FoundRecord,
  type OutgoingRecord,
  type Publisher,
  type RecordOutcome,
  type SendHooks,
  type TopicReader,
  type TransactionalPublisher,
} from '../../../src/relay/ports.ts';

export interface WorldRecord {
  readonly key: string;
  readonly sequence: number;
  readonly eventId: string;
  readonly discarded: boolean;
  /** Position in the partition. */
  readonly offset: number;
}

interface Entry extends WorldRecord {
  transaction: 'none' | 'open' | 'committed' | 'aborted';
}

/** What can happen to a send. */
export interface TopicMishaps {
  /** Whether the next send meets this. */
  readonly outage: () => boolean;
  readonly answerLost: () => boolean;
  readonly partitionAway: (partition: number) => boolean;
  /** Whether the broker refuses this record now; `alone` in its partition's batch. */
  readonly refuses: (record: OutgoingRecord, alone: boolean) => boolean;
  /** Takes a while that a test chooses; a send may land long after its sender was replaced. */
  readonly delay: () => Promise<void>;
  /** What passes between the answer to a commit and the moment when readers see it; and until one whose answer was lost arrives. */
  readonly untilCommitted: () => Promise<void>;
}

interface Producer {
  readonly id: string;
  readonly epoch: number;
}

interface Transaction {
  epoch: number;
  open: Entry[];
  /** A commit whose markers are being written: nobody begins another transaction before, or initialises the id. */
  ending: Promise<void>;
}

/** A topic in memory that keeps the rules of Kafka: batches per partition, transactions, fencing by epoch. */
export class WorldTopic {
  readonly partitions: Entry[][];
  readonly #ids = new Map<string, Transaction>();
  readonly #mishaps: TopicMishaps;

  constructor(partitions: number, mishaps: TopicMishaps) {
    this.partitions = Array.from({ length: partitions }, () => []);
    this.#mishaps = mishaps;
  }

  /** What a consumer with read_committed sees. */
  committed(partition: number): WorldRecord[] {
    const entries = this.partitions[partition] ?? [];
    const open = entries.findIndex(({ transaction }) => transaction === 'open');
    const stable = open === -1 ? entries : entries.slice(0, open);
    return stable.filter(({ transaction }) => transaction === 'none' || transaction === 'committed');
  }

  /** No transaction is open. */
  get quiet(): boolean {
    return this.partitions.every((entries) => entries.every(({ transaction }) => transaction !== 'open'));
  }

  publisher(): Publisher {
    let closed = 0;
    return {
      send: async (records) => {
        const life = closed;
        const outcomes = await this.#produce(records, null);
        return closed === life ? outcomes : records.map(() => away('closed'));
      },
      close: async () => {
        closed += 1;
      },
    };
  }

  transactional(): TransactionalPublisher {
    let own: Producer | null = null;
    return {
      get isOpen() {
        return own !== null;
      },
      open: async (id) => {
        await this.#mishaps.delay();
        if (this.#mishaps.outage()) throw new PublisherUnavailable('away');
        own = { id, epoch: await this.#initialise(id) };
      },
      fence: async (id) => {
        await this.#mishaps.delay();
        if (this.#mishaps.outage()) throw new PublisherUnavailable('away');
        await this.#initialise(id);
      },
      send: async (records, hooks) => {
        const producer = own;
        own = null;
        if (producer === null) throw new Error('send without open');
        const outcomes = await this.#transact(records, producer, hooks);
        if (outcomes.every(({ kind }) => kind === 'acknowledged')) own = producer;
        // After any error but a refusal it must be opened anew.
        else if (outcomes.some(({ kind }) => kind === 'refused')) own = await this.#goOn(producer, outcomes);
        return outcomes;
      },
      close: async () => {
        own = null;
      },
    };
  }

  reader(): TopicReader {
    const found = ({ key, sequence, eventId, discarded, offset }: WorldRecord, partition: number): FoundRecord => {
      return { partition, offset: String(offset), key, eventId, sequence, discarded };
    };
    return {
      last: async (partition) => {
        await this.#mishaps.delay();
        const last = this.committed(partition).at(-1);
        return last === undefined ? null : found(last, partition);
      },
      from: (partition, offset) => this.#readBack(partition, Number(offset), found),
      close: async () => {},
    };
  }

  async *#readBack(
    partition: number,
    offset: number,
    found: (record: WorldRecord, partition: number) => FoundRecord,
  ): AsyncGenerator<readonly FoundRecord[]> {
    await this.#mishaps.delay();
    const records = this.committed(partition).filter((record) => record.offset >= offset);
    for (let at = 0; at < records.length; at += 2) {
      yield records.slice(at, at + 2).map((record) => found(record, partition));
    }
  }

  /** Bumps the epoch and ends what is open. */
  async #initialise(id: string): Promise<number> {
    const transaction = this.#ids.get(id) ?? { epoch: -1, open: [], ending: Promise.resolve() };
    this.#ids.set(id, transaction);
    await transaction.ending;
    for (const entry of transaction.open) entry.transaction = 'aborted';
    transaction.open = [];
    transaction.epoch += 1;
    return transaction.epoch;
  }

  /** What was refused is rolled back in an orderly way, unless somebody has fenced the producer, or nobody answers. */
  async #goOn({ id, epoch }: Producer, outcomes: readonly RecordOutcome[]): Promise<Producer | null> {
    if (outcomes.some(({ kind }) => kind !== 'refused' && kind !== 'rolled-back') || this.#mishaps.outage())
      return null;
    await this.#mishaps.delay();
    if (this.#ids.get(id)?.epoch !== epoch) return null;
    return { id, epoch: await this.#initialise(id) };
  }

  async #transact(
    records: readonly OutgoingRecord[],
    { id, epoch }: Producer,
    hooks: SendHooks | undefined,
  ): Promise<RecordOutcome[]> {
    await this.#ids.get(id)?.ending;
    const outcomes = await this.#produce(records, { id, epoch });
    if (outcomes.some(({ kind }) => kind === 'fenced')) return outcomes;
    if (outcomes.some(({ kind }) => kind !== 'acknowledged')) {
      return outcomes.map((one) => (one.kind === 'acknowledged' ? { kind: 'rolled-back', error: 'shared' } : one));
    }
    try {
      await hooks?.beforeCommit?.();
    } catch (error) {
      return records.map(() => ({ kind: 'rolled-back', error: String(error) }));
    }
    return this.#commit(id, epoch, outcomes);
  }

  async #commit(id: string, epoch: number, outcomes: RecordOutcome[]): Promise<RecordOutcome[]> {
    await this.#mishaps.delay();
    const transaction = this.#ids.get(id);
    if (transaction?.epoch !== epoch) return outcomes.map(() => FENCED);
    if (!this.#mishaps.answerLost()) {
      this.#end(transaction);
      return outcomes;
    }
    // What was asked may never arrive, or late: then it counts unless somebody has initialised the id meanwhile.
    if (!this.#mishaps.outage()) {
      void this.#mishaps.untilCommitted().then(() => {
        if (transaction.epoch === epoch) this.#end(transaction);
      });
    }
    return outcomes.map(() => away('commit unknown'));
  }

  /** The commit is decided, and answered; readers see it a moment later. */
  #end(transaction: Transaction): void {
    const entries = transaction.open;
    transaction.open = [];
    transaction.ending = this.#mishaps.untilCommitted().then(() => {
      for (const entry of entries) entry.transaction = 'committed';
    });
  }

  async #produce(records: readonly OutgoingRecord[], producer: Producer | null): Promise<RecordOutcome[]> {
    await this.#mishaps.delay();
    const transaction = producer === null ? null : this.#ids.get(producer.id);
    if (producer !== null && transaction?.epoch !== producer.epoch) return records.map(() => FENCED);
    if (this.#mishaps.outage()) return records.map(() => away('away'));
    const judged = new Map<number, 'takes' | 'refuses' | 'is away'>();
    for (const partition of new Set(records.map(({ shard }) => shard))) {
      const batch = records.filter(({ shard }) => shard === partition);
      if (this.#mishaps.partitionAway(partition)) judged.set(partition, 'is away');
      else
        judged.set(
          partition,
          batch.some((one) => this.#mishaps.refuses(one, batch.length === 1)) ? 'refuses' : 'takes',
        );
    }
    const lost = producer === null && this.#mishaps.answerLost();
    return records.map((record): RecordOutcome => {
      if (judged.get(record.shard) === 'is away')
        return { kind: 'unavailable', scope: 'partition', error: 'no leader' };
      if (judged.get(record.shard) === 'refuses') return { kind: 'refused', error: 'MESSAGE_TOO_LARGE' };
      const offset = this.#append(record, transaction ?? null);
      if (lost) return away('no answer');
      return { kind: 'acknowledged', partition: record.shard, offset: String(offset) };
    });
  }

  #append({ shard, key, headers, payload }: OutgoingRecord, transaction: Transaction | null): number {
    const partition = this.partitions[shard];
    if (partition === undefined) throw new Error(`no partition ${shard}`);
    const entry: Entry = {
      key,
      sequence: Number(headers['sequence']),
      eventId: headers['ce_id'] ?? '',
      discarded: payload === null,
      offset: partition.length,
      transaction: transaction === null ? 'none' : 'open',
    };
    partition.push(entry);
    transaction?.open.push(entry);
    return entry.offset;
  }
}

const FENCED: RecordOutcome = { kind: 'fenced', error: 'PRODUCER_FENCED' };

function away(error: string): RecordOutcome {
  return { kind: 'unavailable', scope: 'cluster', error };
}
