import type { KafkaConfig } from '../config.ts';
import type { FoundRecord, TopicReader } from '../relay/ports.ts';
import { CommittedRecords, type CommittedRecord, type CommittedRecordsOptions } from './committed-records.ts';

/** Offsets that the first look back from the end takes in; each further one takes in so many times more. */
const LOOK_BACK = 8n;

/** TopicReader on the committed records of the topic. */
export class KafkaTopicReader implements TopicReader {
  readonly #records: CommittedRecords;

  constructor(kafka: KafkaConfig, options: CommittedRecordsOptions = {}) {
    this.#records = new CommittedRecords(kafka, { clientId: 'genesis-relay-reader', ...options });
  }

  async last(partition: number, signal: AbortSignal): Promise<FoundRecord | null> {
    const { first, end } = await this.#records.range(partition, signal);
    let to = end;
    // Ends of transactions and aborted records lie between the records, so that how far back the last one is nobody knows.
    for (let back = LOOK_BACK; to > first; back *= LOOK_BACK) {
      const from = end - back > first ? end - back : first;
      let last: CommittedRecord | undefined;
      for await (const chunk of this.#records.read(partition, from, to, signal)) last = chunk.at(-1);
      if (last !== undefined) return toFound(last);
      to = from;
    }
    return null;
  }

  async *from(
    partition: number,
    offset: string,
    signal: AbortSignal,
  ): AsyncGenerator<readonly FoundRecord[], void, undefined> {
    const { end } = await this.#records.range(partition, signal);
    for await (const chunk of this.#records.read(partition, BigInt(offset), end, signal)) yield chunk.map(toFound);
  }

  async close(): Promise<void> {
    await this.#records.close();
  }
}

/** A record that somebody else wrote has no event: its id is '' and its sequence 0. */
function toFound({ partition, offset, key, headers }: CommittedRecord): FoundRecord {
  const sequence = Number(headers.get('sequence'));
  return {
    partition,
    offset: String(offset),
    key: key ?? '',
    eventId: headers.get('ce_id') ?? '',
    sequence: Number.isSafeInteger(sequence) ? sequence : 0,
    discarded: headers.get('discarded') === 'true',
  };
}
