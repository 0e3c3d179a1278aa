import { Producer, stringSerializers } from '@platformatic/kafka';

type TextProducer = Producer<string, string, string, string>;
type TextTransaction = Awaited<ReturnType<TextProducer['beginTransaction']>>;

/** A producer of transactions on the client's own terms, for tests that need half-done ones. */
export class TestTransactions {
  readonly #topic: string;
  readonly #producer: TextProducer;
  #current: TextTransaction | null = null;

  constructor(brokers: readonly string[], topic: string, transactionalId: string) {
    this.#topic = topic;
    this.#producer = new Producer({
      clientId: transactionalId,
      bootstrapBrokers: [...brokers],
      transactionalId,
      idempotent: true,
      producerId: -1n,
      producerEpoch: -1,
      retries: true,
      retryDelay: 5,
      serializers: stringSerializers,
    });
  }

  async begin(): Promise<void> {
    this.#current = await this.#producer.beginTransaction();
  }

  async send(partition: number, ...values: readonly string[]): Promise<void> {
    await this.#open().send({ messages: values.map((value) => this.#message(partition, value)) });
  }

  /** Makes the partition part of the transaction, but writes nothing into it. */
  async touch(partition: number): Promise<void> {
    const metadata = await this.#producer.metadata({ topics: [this.#topic] });
    const message = { ...this.#message(partition, ''), key: Buffer.alloc(0), value: Buffer.alloc(0) };
    await this.#open().addPartitions(metadata, [message]);
  }

  async end(how: 'commit' | 'abort'): Promise<void> {
    await this.#open()[how]();
    this.#current = null;
  }

  async close(): Promise<void> {
    await this.#producer.close(true);
  }

  #message(partition: number, value: string) {
    return { topic: this.#topic, partition, key: `key of ${value}`, value };
  }

  #open(): TextTransaction {
    if (this.#current === null) throw new Error('begin first');
    return this.#current;
  }
}
