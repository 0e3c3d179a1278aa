import { Admin, findErrorBy, Producer, stringSerializer } from '@platformatic/kafka';
import type { Logger } from 'pino';
import { backoffDelay, pause } from './backoff.ts';
import { connectionTo } from './connection.ts';
import type { IncomingRecord } from './read-record.ts';

/**
 * Takes records that cannot be dealt with out of the way, so that those behind them go on. Nothing is lost: key, value and headers
 * stay as they were, and headers beginning with `dlq-` say why it is here and where it came from.
 */
export interface DeadLetters {
  /** Resolves once the record is safe; waits for a broker that is away. @throws when `stopping` aborts */
  send(record: IncomingRecord, error: Error): Promise<void>;
  /** Creates the topic if it is missing. @throws the broker's error */
  ensureTopic(): Promise<void>;
  close(): Promise<void>;
}

export interface DeadLetterOptions {
  readonly brokers: readonly string[];
  readonly topic: string;
  readonly logger: Logger;
  readonly stopping: AbortSignal;
}

const BACKOFF = { first: 250, most: 10_000 };
/** Above Kafka's default of 1 MiB: a record of that size gains a few headers here. */
const MAX_MESSAGE_BYTES = '2097152';
/** Most characters of the error. */
const ERROR_LENGTH = 1_000;

interface Letter {
  readonly topic: string;
  readonly key?: Buffer;
  /** Null where the record has none: the client refuses a message that does not say. */
  readonly value: Buffer | null;
  readonly headers: Record<string, string>;
}

export function createDeadLetters({ brokers, topic, logger, stopping }: DeadLetterOptions): DeadLetters {
  const producer = new Producer<Buffer, Buffer | null, string, string>({
    ...connectionTo(brokers, 'concept-agent-dlq'),
    acks: -1,
    retries: 3,
    retryDelay: 200,
    serializers: { headerKey: stringSerializer, headerValue: stringSerializer },
  });

  return {
    async send(record, error) {
      let letter = letterOf(topic, record, error);
      for (let attempt = 1; ; attempt += 1) {
        stopping.throwIfAborted();
        try {
          await producer.send({ messages: [letter] });
          logger.error(
            { ...placeOf(record), error: error.message, dlq: topic },
            'a record cannot be dealt with: put aside',
          );
          return;
        } catch (failure) {
          if (isTooLarge(failure)) letter = withoutValue(letter);
          logger.warn({ err: failure, ...placeOf(record), attempt }, 'the dead letter topic did not take a record');
          // Somebody may have deleted it.
          await createIfMissing(brokers, topic).catch(() => undefined);
          await pause(backoffDelay(attempt, BACKOFF), stopping);
        }
      }
    },
    ensureTopic: () => createIfMissing(brokers, topic),
    close: () => producer.close(),
  };
}

/** Whoever may not create topics does well with one that is there: so look first. */
async function createIfMissing(brokers: readonly string[], topic: string): Promise<void> {
  const admin = new Admin({ ...connectionTo(brokers, 'concept-agent-topics'), retries: 1, retryDelay: 100 });
  try {
    const there = await admin.metadata({ topics: [topic] }).then(
      ({ topics }) => topics.has(topic),
      () => false,
    );
    if (there) return;
    // Somebody has to look at each record: none may vanish by its age.
    const configs = [
      { name: 'retention.ms', value: '-1' },
      { name: 'max.message.bytes', value: MAX_MESSAGE_BYTES },
    ];
    await admin.createTopics({ topics: [topic], partitions: 1, configs });
  } catch (error) {
    if (!(error instanceof Error) || findErrorBy(error, 'apiId', 'TOPIC_ALREADY_EXISTS') === null) throw error;
  } finally {
    await admin.close();
  }
}

function letterOf(topic: string, record: IncomingRecord, error: Error): Letter {
  const { partition, offset } = placeOf(record);
  return {
    topic,
    ...(record.key === undefined ? {} : { key: record.key }),
    value: record.value ?? null,
    headers: {
      ...Object.fromEntries(record.headers),
      'dlq-error': `${error.name}: ${error.message}`.slice(0, ERROR_LENGTH).toWellFormed(),
      'dlq-topic': record.topic,
      'dlq-partition': String(partition),
      'dlq-offset': offset,
    },
  };
}

/** What is too large stays where it was; the headers say where that is. */
function withoutValue({ topic, headers, key }: Letter): Letter {
  return { topic, value: null, headers: { ...headers, 'dlq-value': 'omitted' }, ...(key === undefined ? {} : { key }) };
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && findErrorBy(error, 'apiId', 'MESSAGE_TOO_LARGE') !== null;
}

function placeOf({ topic, partition, offset }: IncomingRecord) {
  return { topic, partition, offset: String(offset) };
}
