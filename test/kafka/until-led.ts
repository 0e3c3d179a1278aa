import type { KafkaConfig } from '../../src/config.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';

/** Milliseconds, on a busy machine. */
const PATIENCE = 30_000;

/**
 * Resolves once each partition of the topic has a leader that serves it. A broker knows of a new topic before it has made its
 * partitions, one after the other; what is sent to those that it has not made it does not take.
 */
export async function untilLed(kafka: KafkaConfig): Promise<void> {
  const records = new CommittedRecords(kafka, { patience: PATIENCE });
  try {
    await records.ranges();
  } finally {
    await records.close();
  }
}
