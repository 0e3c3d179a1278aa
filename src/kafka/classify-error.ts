import { protocolErrors, protocolErrorsCodesById } from '@platformatic/kafka';
import type { OutageScope } from '../relay/ports.ts';

/** What the broker said about one partition's batch. */
export type PartitionAnswer =
  | { readonly kind: 'acknowledged'; readonly baseOffset: bigint }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'unavailable'; readonly scope: OutageScope; readonly error: string };

/** What can be learnt from a send that failed. */
export interface ProduceFailure {
  /** By `topic:partition`; partitions without an answer are missing. */
  readonly answers: ReadonlyMap<string, PartitionAnswer>;
  /** What holds for the partitions without an answer. */
  readonly otherwise: { readonly scope: OutageScope; readonly error: string };
}

/**
 * The broker will never take the batch as it is. RECORD_LIST_TOO_LARGE is what it says to a batch beyond segment.bytes.
 * Source: the Kafka protocol guide, "Error Codes".
 */
const REFUSALS: ReadonlySet<string> = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
]);
const TOPIC_OUTAGES: ReadonlySet<string> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INVALID_TOPIC_EXCEPTION',
  'TOPIC_AUTHORIZATION_FAILED',
  'POLICY_VIOLATION',
]);
const PARTITION_OUTAGES: ReadonlySet<string> = new Set([
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_OR_FOLLOWER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'CORRUPT_MESSAGE',
]);

/**
 * Reads the error of a send. It may nest the errors of all tries, of all brokers and of all partitions; a request is not
 * atomic over partitions, so some may be written while others were refused. A later answer replaces an earlier one, but
 * nothing replaces an acknowledgement.
 */
export function readProduceFailure(error: unknown): ProduceFailure {
  const answers = new Map<string, PartitionAnswer>();
  const leaves: object[] = [];
  walk(error, (node) => {
    readResponse(node, answers);
    readProduced(node, answers);
    if (!('errors' in node)) leaves.push(node);
  });
  return { answers, otherwise: otherwiseOf(leaves, error) };
}

/** The words for an error: the last thing that went wrong, not the number of tries. */
export function errorWords(error: unknown): string {
  const leaves: object[] = [];
  walk(error, (node) => {
    if (!('errors' in node)) leaves.push(node);
  });
  return words(lastOf(leaves, error));
}

/** True if the client asked a broker that does not lead the partition (any more). */
export function isStaleLeader(error: unknown): boolean {
  let stale = false;
  walk(error, (node) => {
    stale ||= 'hasStaleMetadata' in node && node.hasStaleMetadata === true;
  });
  return stale;
}

function walk(error: unknown, visit: (node: object) => void): void {
  if (typeof error !== 'object' || error === null) return;
  visit(error);
  if ('errors' in error && Array.isArray(error.errors)) {
    for (const inner of error.errors) walk(inner, visit);
  }
}

/** The last thing that went wrong by itself: that we closed the client says nothing. */
function lastOf(leaves: readonly object[], error: unknown): unknown {
  return leaves.findLast((leaf) => !isOwnClosing(leaf)) ?? leaves.at(-1) ?? error;
}

function isOwnClosing(leaf: object): boolean {
  return ('closed' in leaf && leaf.closed === true) || (leaf instanceof Error && OWN_CLOSING.test(leaf.message));
}

const OWN_CLOSING = /^(Client closed while retrying |Connection closed$)/u;

function otherwiseOf(leaves: readonly object[], error: unknown): ProduceFailure['otherwise'] {
  const last = lastOf(leaves, error);
  const id = typeof last === 'object' && last !== null && 'apiId' in last ? String(last.apiId) : '';
  const text = words(last);
  // The client hides UNKNOWN_TOPIC_OR_PARTITION of a metadata request behind an error of its own.
  if (text.includes('Unknown topic')) return { scope: 'topic', error: text };
  return { scope: scopeOf(id), error: text };
}

function scopeOf(id: string): OutageScope {
  if (TOPIC_OUTAGES.has(id)) return 'topic';
  return PARTITION_OUTAGES.has(id) ? 'partition' : 'cluster';
}

function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const id = 'apiId' in error ? `${String(error.apiId)}: ` : '';
  const said =
    'serverErrorMessage' in error && typeof error.serverErrorMessage === 'string' ? error.serverErrorMessage : '';
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${id}${said === '' ? error.message : said}${cause}`;
}

/** The broker's answer to a produce request, as far as it is read here. */
interface ProduceResponse {
  readonly responses: readonly {
    readonly name: string;
    readonly partitionResponses: readonly {
      readonly index: number;
      readonly errorCode: number;
      readonly baseOffset: bigint;
      readonly errorMessage?: string | null;
    }[];
  }[];
}

function isProduceResponse(response: unknown): response is ProduceResponse {
  if (typeof response !== 'object' || response === null || !('responses' in response)) return false;
  const topics: unknown = response.responses;
  return (
    Array.isArray(topics) &&
    topics.every((topic: unknown) => {
      return typeof topic === 'object' && topic !== null && 'partitionResponses' in topic;
    })
  );
}

function readResponse(node: object, answers: Map<string, PartitionAnswer>): void {
  if (!('response' in node) || !isProduceResponse(node.response)) return;
  for (const topic of node.response.responses) {
    for (const partition of topic.partitionResponses) {
      const name = `${topic.name}:${partition.index}`;
      if (answers.get(name)?.kind === 'acknowledged') continue;
      answers.set(name, answerOf(partition.errorCode, partition.baseOffset, partition.errorMessage ?? null));
    }
  }
}

function answerOf(errorCode: number, baseOffset: bigint, message: string | null): PartitionAnswer {
  if (errorCode === 0) return { kind: 'acknowledged', baseOffset };
  const id = protocolErrorsCodesById[errorCode] ?? `error ${errorCode}`;
  const error = `${id}: ${message ?? protocolErrors[id]?.message ?? 'no words'}`;
  return REFUSALS.has(id) ? { kind: 'refused', error } : { kind: 'unavailable', scope: scopeOf(id), error };
}

/** The acknowledgements of other brokers, which the client hangs onto the error. */
function readProduced(node: object, answers: Map<string, PartitionAnswer>): void {
  if (!('produced' in node)) return;
  for (const { topic, partition, offset } of offsetsOf(node.produced)) {
    answers.set(`${topic}:${partition}`, { kind: 'acknowledged', baseOffset: offset });
  }
}

interface ProducedOffset {
  readonly topic: string;
  readonly partition: number;
  readonly offset: bigint;
}

function offsetsOf(produced: unknown): readonly ProducedOffset[] {
  if (typeof produced !== 'object' || produced === null || !('offsets' in produced)) return [];
  return Array.isArray(produced.offsets) ? (produced.offsets as readonly ProducedOffset[]) : [];
}
