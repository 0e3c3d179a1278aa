import { join } from 'node:path';
import type { KafkaConfig } from '../../src/config.ts';
import { newName, PARTITIONS, type Stage } from '../relay/stage.ts';
import { watchDrain, type Drained } from '../relay/watch-drain.ts';
import type { DebeziumRuntime } from './runtime.ts';
import { TextbookOutbox } from './textbook-outbox.ts';
import { startWorker } from './worker.ts';

/** Debezium with its outbox router, to be measured in turn with the relay. */
export class DebeziumPeer {
  readonly #stage: Stage;
  readonly #runtime: DebeziumRuntime;
  readonly #outbox: TextbookOutbox;

  private constructor(stage: Stage, runtime: DebeziumRuntime, outbox: TextbookOutbox) {
    this.#stage = stage;
    this.#runtime = runtime;
    this.#outbox = outbox;
  }

  /** Starts its PostgreSQL; a worker runs only while it is measured. */
  static async start(stage: Stage, runtime: DebeziumRuntime): Promise<DebeziumPeer> {
    return new DebeziumPeer(stage, runtime, await TextbookOutbox.start(join(stage.folder, 'postgres-debezium')));
  }

  /** Takes the events over that the relay will be measured with. */
  async keep(database: string): Promise<void> {
    await this.#outbox.keep(this.#stage.postgres.url(database));
  }

  /** The backlog is in the log of the database before the worker starts. @throws when it stops short of the last event, or goes beyond it. */
  async drain(events: number): Promise<Drained> {
    const { cluster, folder } = this.#stage;
    const kafka: KafkaConfig = { brokers: cluster.brokers, topic: newName() };
    await cluster.admin.createTopic(kafka.topic, { partitions: PARTITIONS, ...cluster.replication });
    const slot = await this.#outbox.write(events);
    const worker = await startWorker({
      runtime: this.#runtime,
      folder: join(folder, kafka.topic),
      databaseUrl: this.#outbox.url,
      slot,
      kafka,
    });
    let drained: Drained;
    try {
      drained = await watchDrain(kafka, events, { ...worker, databaseCpu: () => this.#outbox.cpu() });
    } finally {
      await worker.stop();
    }
    if (drained.offsets !== events) throw new Error(`Debezium made ${drained.offsets} records of ${events} events`);
    await this.#outbox.drop(slot);
    return drained;
  }

  async stop(): Promise<void> {
    await this.#outbox.stop();
  }
}
