import { Consumer, stringDeserializer, type Message, type MessagesStream } from '@platformatic/kafka';
import type { Logger } from 'pino';
import { backoffDelay, orAborted, pause } from './backoff.ts';
import { connectionTo } from './connection.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { RecordHandler } from './handle-record.ts';
import { Progress } from './progress.ts';
import { Slots } from './slots.ts';

export interface AgentOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly group: string;
  readonly concurrency: number;
  /** Milliseconds between two commits of offsets. */
  readonly commitInterval: number;
  readonly handle: RecordHandler;
  readonly deadLetters: Pick<DeadLetters, 'ensureTopic'>;
  readonly logger: Logger;
}

type RawMessage = Message<Buffer, Buffer, string, string>;
type RawConsumer = Consumer<Buffer, Buffer, string, string>;

/** Milliseconds before the agent joins again after it fell out. */
const BACKOFF = { first: 250, most: 10_000 };
/** Milliseconds without a heartbeat after which the group gives our partitions to others. A crash costs this wait. */
const SESSION_TIMEOUT = 10_000;
/** Milliseconds for the last commit and for the farewell to the group, each, when the agent stops. */
const FAREWELL = 1_000;
/** Milliseconds that answers on their way may take when the agent stops. */
const FINISH = 2_000;

/**
 * A member of a consumer group. Records are worked on side by side; offsets are committed in order, and only after the work.
 * Whatever breaks (broker, coordinator, a rebalance that fails), it joins again and continues behind the last commit.
 */
export class Agent {
  readonly #options: AgentOptions;
  readonly #slots: Slots;
  #failures = 0;

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#slots = new Slots(options.concurrency);
  }

  /** Resolves after `stopping` aborted and everything has ended, within 5 seconds. Never rejects. */
  async run(stopping: AbortSignal): Promise<void> {
    const { logger } = this.#options;
    while (!stopping.aborted) {
      try {
        await this.#beMember(stopping);
      } catch (error) {
        if (stopping.aborted) return;
        this.#failures += 1;
        logger.warn({ err: error, attempt: this.#failures }, 'not a member of the group; joining again');
        await pause(backoffDelay(this.#failures, BACKOFF), stopping).catch(() => undefined);
      }
    }
  }

  async #beMember(stopping: AbortSignal): Promise<void> {
    const { deadLetters, topic, group, logger } = this.#options;
    await orAborted(deadLetters.ensureTopic(), stopping);
    const consumer = this.#createConsumer();
    const fallenOut = failureOf(consumer);
    const progress = new Progress();
    const committing = new AbortController();
    const committer = this.#commitRegularly(consumer, progress, committing.signal);
    try {
      const where = { mode: 'committed', fallbackMode: 'earliest' } as const;
      const joined = consumer.consume({ ...where, topics: [topic], autocommit: false });
      const stream = await orAborted(Promise.race([joined, fallenOut]), stopping);
      logger.info({ group, topic }, 'reading');
      await orAborted(Promise.race([this.#read(stream, progress, stopping), fallenOut]), stopping);
    } finally {
      if (stopping.aborted) await this.#slots.allFree(FINISH);
      committing.abort();
      await committer;
      await atMost(FAREWELL, this.#commit(consumer, progress));
      await atMost(FAREWELL, consumer.close(true));
    }
  }

  #createConsumer(): RawConsumer {
    const { brokers, group } = this.#options;
    return new Consumer<Buffer, Buffer, string, string>({
      ...connectionTo(brokers, 'concept-agent'),
      groupId: group,
      // Keys and values stay bytes: what cannot be read must arrive unchanged where poison goes.
      deserializers: { headerKey: (name) => text(name), headerValue: (value) => text(value) },
      sessionTimeout: SESSION_TIMEOUT,
      rebalanceTimeout: 2 * SESSION_TIMEOUT,
      heartbeatInterval: SESSION_TIMEOUT / 4,
      heartbeatStallTimeout: 2 * SESSION_TIMEOUT,
      maxWaitTime: 1_000,
      // Read ahead by no more than what is worked on soon.
      highWaterMark: 256,
      retries: 3,
      retryDelay: 250,
    });
  }

  /** Ends only by an error: the stream breaks, or the agent stops. */
  async #read(stream: MessagesStream<Buffer, Buffer, string, string>, progress: Progress, stopping: AbortSignal) {
    // The loop below learns errors by itself; one that comes after it must not end the process.
    stream.on('error', () => undefined);
    for await (const message of stream as AsyncIterable<RawMessage>) {
      this.#failures = 0;
      await this.#slots.take(stopping);
      this.#work(message, progress);
    }
    throw new Error('the stream of records ended');
  }

  #work(message: RawMessage, progress: Progress): void {
    const { handle, logger } = this.#options;
    const { topic, partition, offset, key, value, headers } = message;
    const done = progress.begin(topic, partition, offset);
    handle({ topic, partition, offset, key, value, headers })
      .then(done, (error: unknown) => {
        // Not committed, so whoever reads this partition next gets it again.
        logger.debug({ err: error, partition, offset: String(offset) }, 'left a record for later');
      })
      .finally(() => this.#slots.give())
      .catch(() => undefined);
  }

  async #commitRegularly(consumer: RawConsumer, progress: Progress, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      await pause(this.#options.commitInterval, ended).catch(() => undefined);
      // In the middle of a rebalance a commit would start the next one.
      if (!ended.aborted && consumer.isActive())
        await orAborted(this.#commit(consumer, progress), ended).catch(() => undefined);
    }
  }

  /** Never rejects: what could not be committed is so the next time, or read once more by the next owner. */
  async #commit(consumer: RawConsumer, progress: Progress): Promise<void> {
    const owned = new Set(
      consumer.assignments?.flatMap(({ topic, partitions }) => partitions.map((n) => `${topic}:${n}`)),
    );
    const positions = progress.due((topic, partition) => owned.has(`${topic}:${partition}`));
    if (positions.length === 0) return;
    try {
      await consumer.commit({ offsets: positions.map((position) => ({ ...position, leaderEpoch: -1 })) });
      progress.committed(positions);
    } catch (error) {
      this.#options.logger.warn({ err: error }, 'offsets could not be committed; trying again');
    }
  }
}

function text(bytes: Buffer | undefined): string {
  return stringDeserializer(bytes) ?? '';
}

/** Rejects when the consumer is no longer a proper member though its stream goes on: others may read the same partitions. */
function failureOf(consumer: RawConsumer): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  consumer.on('error', reject);
  consumer.on('consumer:heartbeat:stalled', () => reject(new Error('no heartbeat reached the group')));
  return promise;
}

/** Waits for `work`, whatever becomes of it, but no longer than this. */
async function atMost(milliseconds: number, work: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  const late = pause(milliseconds, enough.signal);
  await Promise.race([work, late]).catch(() => undefined);
  enough.abort();
  await late.catch(() => undefined);
}
