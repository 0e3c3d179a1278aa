import {
  createAPI,
  fetchV12,
  FetchIsolationLevels,
  ProtocolError,
  protocolErrorsCodesById,
  type Connection,
  type Reader,
} from '@platformatic/kafka';

/** A transaction without effect; its control batch in the log says where it ends. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: bigint;
}

/** What one fetch gave of a partition. */
export interface Page {
  /** Batches of records as they lie in the log, up to the last stable offset; the last may be cut off. */
  readonly bytes: Buffer;
  readonly lastStableOffset: bigint;
  /** Transactions that were aborted, as far as these bytes hold some of them. */
  readonly aborted: readonly AbortedTransaction[];
}

export interface PageRequest {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
  /** Most bytes, unless the first batch alone is larger. */
  readonly maxBytes: number;
  /** Most milliseconds that the broker waits for something to be there. */
  readonly maxWait: number;
}

/**
 * The client's own fetch filters aborted transactions itself: wrongly (it leaks some, and after an empty aborted transaction it
 * drops committed ones), and it keeps one session per broker, which does not bear two readers. So only its connection is used.
 *
 * Version 12 names the topic, later ones its id; every broker since 2.7 knows it.
 */
const fetchApi = createAPI<Parameters<typeof fetchV12.createRequest>, PageAnswer>(
  1,
  12,
  fetchV12.createRequest,
  readResponse,
);

/** The epoch of a fetch without a session. */
const NO_SESSION = -1;

interface PageAnswer extends Page {
  readonly error: string | null;
}

/** Fetches what is committed of one partition from its leader. @throws ProtocolError and the errors of the connection */
export async function fetchPage(leader: Connection, request: PageRequest): Promise<Page> {
  const { topic, partition, offset, maxBytes, maxWait } = request;
  const partitions = [
    { partition, currentLeaderEpoch: -1, fetchOffset: offset, lastFetchedEpoch: -1, partitionMaxBytes: maxBytes },
  ];
  const wanted = [{ topicId: topic, partitions }];
  const isolation = FetchIsolationLevels.READ_COMMITTED;
  const { error, ...page } = await fetchApi.async(
    leader,
    ...([maxWait, 1, maxBytes, isolation, 0, NO_SESSION, wanted, [], ''] satisfies Parameters<
      typeof fetchV12.createRequest
    >),
  );
  if (error !== null) throw new ProtocolError(error);
  return page;
}

/** Source: the Kafka protocol guide, "Fetch Response (Version: 12)". There is one topic in it, and one partition. */
function readResponse(_correlation: number, _key: number, _version: number, reader: Reader): PageAnswer {
  reader.readInt32(); // throttle_time_ms
  const errorCode = reader.readInt16();
  reader.readInt32(); // session_id
  const answers = reader.readArray((topic) => {
    topic.readString();
    return topic.readArray(readPartition, true, false);
  });
  const [answer = NOTHING] = answers.flat();
  return errorCode === 0 ? answer : { ...answer, error: errorId(errorCode) };
}

const NOTHING: PageAnswer = { bytes: Buffer.alloc(0), lastStableOffset: -1n, aborted: [], error: null };

function readPartition(reader: Reader): PageAnswer {
  reader.readInt32(); // partition_index
  const errorCode = reader.readInt16();
  reader.readInt64(); // high_watermark
  const lastStableOffset = reader.readInt64();
  reader.readInt64(); // log_start_offset
  const aborted = reader.readArray((list) => ({ producerId: list.readInt64(), firstOffset: list.readInt64() }));
  reader.readInt32(); // preferred_read_replica
  const bytes = reader.readBytes();
  reader.readTaggedFields();
  return { bytes, lastStableOffset, aborted, error: errorCode === 0 ? null : errorId(errorCode) };
}

function errorId(code: number): string {
  return protocolErrorsCodesById[code] ?? 'UNKNOWN_SERVER_ERROR';
}
