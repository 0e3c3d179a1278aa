import { Writer, type CreateRecordsBatchOptions, type MessageRecord } from '@platformatic/kafka';
import { encodeRequests, type RequestApi } from './client-seams.ts';
import { encodeBatch, type EncodableRecord } from './record-encoder.ts';

/** A message of the client on its way to the broker: its value is the record itself. */
export interface UnencodedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly value: EncodableRecord;
}

/** What the client calls its Produce API with. */
type ProduceArguments = readonly [
  acks: number,
  timeout: number,
  messages: readonly UnencodedMessage[],
  options: Partial<CreateRecordsBatchOptions>,
];

/** Kafka 2.7 and later: strings and arrays are compact. The client has no version behind the last one. */
const COMPACT_VERSIONS = { first: 9, last: 11 } as const;

/**
 * Makes a producer without serializers take records as the values of its messages, and encodes them when a request is written:
 * the client itself makes four buffers of each header.
 */
export function encodeRecords(client: RequestApi): void {
  encodeRequests(client, 'Produce', (args, version) => {
    const [acks, timeout, messages, options] = args as unknown as ProduceArguments;
    const compact = version >= COMPACT_VERSIONS.first && version <= COMPACT_VERSIONS.last;
    if (compact && acks !== 0 && (options.compression ?? 'none') === 'none') {
      return { request: () => produceRequest(acks, timeout, messages, options) };
    }
    return { args: [acks, timeout, messages.map(clientMessage), options] };
  });
}

/** A Produce request without its header. All of its records have the time of the request. */
export function produceRequest(...[acks, timeout, messages, options]: ProduceArguments): Writer {
  const timestamp = BigInt(Date.now());
  const topics = [...Map.groupBy(messages, ({ topic }) => topic)];
  return Writer.create()
    .appendString(options.transactionalId)
    .appendInt16(acks)
    .appendInt32(timeout)
    .appendArray(topics, (ofTopics, [topic, ofTopic]) => {
      const partitions = [...Map.groupBy(ofTopic, ({ partition }) => partition)];
      ofTopics.appendString(topic).appendArray(partitions, (ofPartitions, [partition, ofPartition]) => {
        const bytes = encodeBatch(
          ofPartition.map(({ value }) => value),
          {
            timestamp,
            producerId: options.producerId ?? -1n,
            producerEpoch: options.producerEpoch ?? 0,
            firstSequence: options.sequences?.getWithDefault(`${topic}:${partition}`, 0) ?? 0,
            transactional: Boolean(options.transactionalId),
          },
        );
        ofPartitions
          .appendInt32(partition)
          .appendUnsignedVarInt(bytes.length + 1)
          .append(bytes);
      });
    })
    .appendTaggedFields();
}

/** For the client's own encoder. */
export function clientMessage({ topic, partition, value }: UnencodedMessage): MessageRecord {
  const { key, payload, headers } = value;
  return {
    topic,
    partition,
    key: Buffer.from(key),
    // The client's type has no null, its encoder has.
    value: (payload === null ? null : Buffer.from(payload)) as Buffer,
    headers: new Map(Object.entries(headers).map(([name, text]) => [Buffer.from(name), Buffer.from(text)])),
  };
}
