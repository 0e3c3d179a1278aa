import type { ClusterMetadata } from '@platformatic/kafka';
import type { OutgoingRecord } from '../relay/ports.ts';
import { readProduceFailure, type PartitionAnswer, type ProduceFailure } from './classify-error.ts';
import { missingPartition, partitionOf, produce, topicsOf, type TextProducer } from './outgoing.ts';

/** What may pass after the first error until the rest of the cluster is judged, in milliseconds. */
const TROUBLE = 500;
/** How long a broker may be silent once all others have answered, in milliseconds: a slow disk is no outage. */
const SILENCE = 2_000;
/** Milliseconds between two looks at a send that is in trouble. */
const LOOK = 100;

/** What is sent to one broker: the records of the partitions that it leads. */
interface Part {
  readonly leader: number;
  readonly records: readonly OutgoingRecord[];
  readonly partitions: ReadonlySet<string>;
}

/**
 * One send to all leaders at once, each by itself: only so it shows which of them does not answer. What a part of the cluster
 * does not take is given up while the rest goes on; while the whole of it is away, the send stays pending, which writes nothing
 * twice.
 */
export class SplitSend {
  readonly #producer: TextProducer;
  readonly #records: readonly OutgoingRecord[];
  readonly #giveUp: () => void;
  readonly #answers = new Map<string, PartitionAnswer>();
  readonly #pending = new Set<Part>();
  readonly #done = Promise.withResolvers<void>();
  /** What brokers said about partitions in tries that are repeated. */
  #told: ReadonlyMap<string, PartitionAnswer> = new Map();
  #otherwise: ProduceFailure['otherwise'] = { scope: 'cluster', error: 'the broker did not answer for it' };
  #answeredAt: number | null = null;
  #failedAt: number | null = null;
  #looking: NodeJS.Timeout | null = null;
  #asking = false;
  #othersLive = false;

  /** `giveUp` makes all that is pending end soon: at most once. */
  constructor(producer: TextProducer, records: readonly OutgoingRecord[], giveUp: () => void) {
    this.#producer = producer;
    this.#records = records;
    this.#giveUp = giveUp;
  }

  /** Resolves once there is an answer for each partition, or the rest was given up. Never rejects. */
  async run(): Promise<void> {
    await Promise.race([this.#send(), this.#done.promise]);
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
  }

  answerOf(partition: string): PartitionAnswer {
    const answer = this.#answers.get(partition) ?? { kind: 'unavailable', ...this.#otherwise };
    if (answer.kind !== 'unavailable' || answer.scope !== 'cluster') return answer;
    // The cluster is there, or it would not have answered for others.
    return this.#othersLive || this.#someAnswered() ? { ...answer, scope: 'partition' } : answer;
  }

  /** A try has failed and is repeated. */
  failed(error: Error): void {
    this.#told = new Map([...this.#told, ...readProduceFailure(error).answers]);
    this.#failedAt ??= performance.now();
    this.#watch();
  }

  /** The producer was closed: what does not say so within the grace, in milliseconds, is not waited for. */
  async abandon(error: string, grace: number): Promise<void> {
    if (this.#pending.size === 0) this.#otherwise = { scope: 'cluster', error };
    const timer = setTimeout(() => this.#done.resolve(), grace);
    await this.#done.promise;
    clearTimeout(timer);
  }

  async #send(): Promise<void> {
    try {
      for (const part of await this.#route()) this.#pending.add(part);
      await Promise.all([...this.#pending].map((part) => this.#sendPart(part)));
    } catch (error) {
      this.#otherwise = readProduceFailure(error).otherwise;
    } finally {
      this.#done.resolve();
    }
  }

  async #route(): Promise<readonly Part[]> {
    const missing = await missingPartition(this.#producer, this.#records);
    if (missing !== null) {
      this.#otherwise = missing;
      return [];
    }
    const topics = topicsOf(this.#records);
    const known = await this.#producer.metadata({ topics });
    const leaderless = this.#records.some((record) => leaderOf(known, record) < 0);
    const metadata = leaderless ? await this.#producer.metadata({ topics, forceUpdate: true }) : known;
    const byLeader = Map.groupBy(this.#records, (record) => leaderOf(metadata, record));
    for (const record of byLeader.get(-1) ?? []) this.#answers.set(partitionOf(record), NO_LEADER);
    byLeader.delete(-1);
    return [...byLeader].map(([leader, records]) => {
      return { leader, records, partitions: new Set(records.map(partitionOf)) };
    });
  }

  async #sendPart(part: Part): Promise<void> {
    try {
      for (const [partition, answer] of await produce(this.#producer, part.records)) {
        this.#answers.set(partition, answer);
      }
    } catch (error) {
      const { answers, otherwise } = readProduceFailure(error);
      for (const partition of part.partitions) {
        this.#answers.set(partition, answers.get(partition) ?? { kind: 'unavailable', ...otherwise });
      }
    }
    this.#pending.delete(part);
    this.#answeredAt = performance.now();
    if (this.#pending.size > 0) this.#watch();
  }

  #watch(): void {
    this.#looking ??= setInterval(() => this.#look(), LOOK);
  }

  #look(): void {
    const now = performance.now();
    const troubled = this.#failedAt !== null && now - this.#failedAt >= TROUBLE;
    const silent = this.#answeredAt !== null && now - this.#answeredAt >= SILENCE;
    if (this.#pending.size === 0 || this.#producer.closed || !(troubled || silent)) return;
    if (this.#someAnswered()) this.#giveUp();
    else if (!this.#asking) void this.#askOthers();
  }

  #someAnswered(): boolean {
    const answers = [...this.#answers.values(), ...this.#told.values()];
    return answers.some(({ kind }) => kind !== 'unavailable');
  }

  /** Gives up if others could go on meanwhile: partitions that are not among those in trouble, or have another leader by now. */
  async #askOthers(): Promise<void> {
    this.#asking = true;
    try {
      const topics = topicsOf(this.#records);
      // Retries, for it is the try that chooses another broker to ask.
      const metadata = await this.#producer.metadata({ topics, forceUpdate: true, retries: 2 });
      this.#othersLive = topics.some((topic) => this.#goesOn(topic, metadata));
      if (this.#othersLive && this.#pending.size > 0 && !this.#producer.closed) this.#giveUp();
    } catch {
      // The whole cluster is away.
    } finally {
      this.#failedAt = performance.now();
      this.#asking = false;
    }
  }

  #goesOn(topic: string, metadata: ClusterMetadata): boolean {
    const troubled = new Map([...this.#pending].flatMap((part) => [...part.partitions].map((name) => [name, part])));
    // A broker that answers leads its other partitions well.
    const silent = new Set([...this.#pending].filter((part) => !this.#answersFor(part)).map(({ leader }) => leader));
    const partitions = metadata.topics.get(topic)?.partitions ?? [];
    return partitions.some(({ leader }, index) => {
      const part = troubled.get(`${topic}:${index}`);
      return leader >= 0 && (part === undefined ? !silent.has(leader) : leader !== part.leader);
    });
  }

  #answersFor({ partitions }: Part): boolean {
    return [...partitions].some((partition) => this.#told.has(partition));
  }
}

const NO_LEADER: PartitionAnswer = {
  kind: 'unavailable',
  scope: 'partition',
  error: 'LEADER_NOT_AVAILABLE: the partition has no leader now',
};

function leaderOf(metadata: ClusterMetadata, { topic, shard }: OutgoingRecord): number {
  return metadata.topics.get(topic)?.partitions[shard]?.leader ?? -1;
}
