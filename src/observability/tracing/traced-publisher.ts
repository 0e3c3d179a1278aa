import { SpanKind, type Attributes, type Link, type SpanContext } from '@opentelemetry/api';
import type { OutgoingRecord, Publisher, RecordOutcome, SendHooks, TransactionalPublisher } from '../../relay/ports.ts';
import { errorType, linksTo, type Spans } from './spans.ts';
import { spanContextOf } from './traceparent.ts';

/** A record whose command is recorded. */
interface Traced {
  readonly record: OutgoingRecord;
  /** Its place in the send. */
  readonly index: number;
  readonly context: SpanContext;
}

/**
 * The same publisher. A send carries the records of many traces: it has a span of its own, `produce <topic>`, which links to them, and
 * each recorded one has a `send <topic>` in its trace, under the request that caused it (OpenTelemetry's conventions for messaging). The
 * records go out as they are: what is stored is what is sent.
 */
export function tracedPublisher(publisher: Publisher, spans: Spans): Publisher {
  return {
    send(records, hooks) {
      const traced = records.flatMap((record, index) => tracedRecord(spans, record, index));
      return traced.length === 0 ? publisher.send(records, hooks) : send(publisher, spans, { records, hooks, traced });
    },
    close: () => publisher.close(),
  };
}

/** Likewise. */
export function tracedTransactions(publisher: TransactionalPublisher, spans: Spans): TransactionalPublisher {
  return {
    ...tracedPublisher(publisher, spans),
    get isOpen() {
      return publisher.isOpen;
    },
    open: (transactionalId, signal) => publisher.open(transactionalId, signal),
    fence: (transactionalId, signal) => publisher.fence(transactionalId, signal),
  };
}

function tracedRecord(spans: Spans, record: OutgoingRecord, index: number): readonly Traced[] {
  const traceparent = record.headers['traceparent'];
  if (!spans.mayRecord(traceparent)) return [];
  const context = spanContextOf(traceparent);
  return context === null ? [] : [{ record, index, context }];
}

interface TracedSend {
  readonly records: readonly OutgoingRecord[];
  readonly hooks: SendHooks | undefined;
  readonly traced: readonly Traced[];
}

async function send(publisher: Publisher, spans: Spans, { records, hooks, traced }: TracedSend) {
  const topic = records[0]?.topic ?? '';
  const began = { monotonic: performance.now(), wall: Date.now() };
  const batch = spans.start(`produce ${topic}`, {
    kind: SpanKind.CLIENT,
    parent: null,
    startTime: began.monotonic,
    links: linksTo(traced.map(({ context }) => context)),
    attributes: { ...messaging(topic, 'produce'), 'messaging.batch.message_count': records.length },
  });
  try {
    const outcomes = await publisher.send(records, hooks);
    const now = performance.now();
    const links = [{ context: batch.spanContext() }];
    for (const one of traced) endRecord(spans, one, outcomes[one.index], { began, now, links });
    const failed = outcomes.find(({ kind }) => kind !== 'acknowledged');
    spans.end(batch, failed?.kind ?? null, now);
    return outcomes;
  } catch (error) {
    spans.end(batch, errorType(error));
    throw error;
  }
}

interface Around {
  readonly began: { readonly monotonic: number; readonly wall: number };
  readonly now: number;
  readonly links: Link[];
}

function endRecord(
  spans: Spans,
  { record, context }: Traced,
  outcome: RecordOutcome | undefined,
  { began, now, links }: Around,
): void {
  const span = spans.start(`send ${record.topic}`, {
    kind: SpanKind.PRODUCER,
    parent: context,
    startTime: began.monotonic,
    links,
  });
  if (!span.isRecording()) return;
  span.setAttributes(attributesOf(record, began.wall));
  const acknowledged = outcome?.kind === 'acknowledged';
  if (acknowledged) span.setAttribute('messaging.kafka.offset', Number(outcome.offset));
  spans.end(span, acknowledged ? null : (outcome?.kind ?? '_OTHER'), now);
}

function messaging(topic: string, operation: 'send' | 'produce'): Attributes {
  return {
    'messaging.system': 'kafka',
    'messaging.operation.type': 'send',
    'messaging.operation.name': operation,
    'messaging.destination.name': topic,
  };
}

/** @param sentAt Milliseconds since the epoch, by this machine's clock; the event's time is by the database's. */
function attributesOf({ topic, key, shard, payload, headers }: OutgoingRecord, sentAt: number): Attributes {
  const waited = sentAt - Date.parse(headers['ce_time'] ?? '');
  return {
    ...messaging(topic, 'send'),
    'messaging.destination.partition.id': String(shard),
    'messaging.kafka.message.key': key,
    'messaging.message.id': headers['ce_id'] ?? '',
    'genesis.session.id': key,
    'genesis.event.type': headers['ce_type'] ?? '',
    ...(payload === null ? { 'messaging.kafka.message.tombstone': true } : {}),
    ...(Number.isNaN(waited) ? {} : { 'genesis.outbox.wait_ms': Math.max(0, waited) }),
  };
}
