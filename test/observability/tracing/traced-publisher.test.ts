import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import { tracedPublisher, tracedTransactions } from '../../../src/observability/tracing/traced-publisher.ts';
import type { OutgoingRecord, Publisher, RecordOutcome, SendHooks } from '../../../src/relay/ports.ts';
import type { SessionId } from '../../../src/genesis/ids.ts';
import { recordedSpans, SAMPLED, SPAN_ID, TRACE_ID, UNSAMPLED } from './rig.ts';

function record(traceparent: string | null, changes: Partial<OutgoingRecord> = {}): OutgoingRecord {
  return {
    topic: 'domain-events',
    key: '01890a5d-ac96-774b-bcce-b302099a8057' as SessionId,
    shard: 3,
    payload: '{"secret":"of the author"}',
    headers: {
      ce_id: 'event-1',
      ce_type: 'Genesis.Session.Submitted',
      ce_time: new Date(Date.now() - 5_000).toISOString(),
      ...(traceparent === null ? {} : { traceparent }),
    },
    ...changes,
  };
}

const acknowledged: RecordOutcome = { kind: 'acknowledged', partition: 3, offset: '41' };

/** A publisher that remembers what it was given. */
function publisherOf(outcomes: readonly RecordOutcome[] | Error) {
  const sends: { records: readonly OutgoingRecord[]; hooks: SendHooks | undefined }[] = [];
  const publisher: Publisher = {
    send: async (records, hooks) => {
      sends.push({ records, hooks });
      if (outcomes instanceof Error) throw outcomes;
      return outcomes;
    },
    close: async () => undefined,
  };
  return { publisher, sends };
}

describe('a send', () => {
  it('goes out as it is, with a span for each record in the trace of its command and one for all', async () => {
    const { spans, ended } = recordedSpans();
    const { publisher, sends } = publisherOf([acknowledged, acknowledged, acknowledged]);
    const records = [record(null), record(SAMPLED), record(UNSAMPLED)];
    const before = structuredClone(records);
    const hooks = { onStalled: () => undefined };
    expect(await tracedPublisher(publisher, spans).send(records, hooks)).toHaveLength(3);
    expect(sends[0]?.records).toBe(records);
    expect(sends[0]?.hooks).toBe(hooks);
    expect(records).toEqual(before);

    const [sent, produce] = ended();
    expect(ended()).toHaveLength(2);
    expect(sent).toMatchObject({
      name: 'send domain-events',
      kind: SpanKind.PRODUCER,
      parentSpanContext: { traceId: TRACE_ID, spanId: SPAN_ID },
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'messaging.system': 'kafka',
        'messaging.operation.type': 'send',
        'messaging.operation.name': 'send',
        'messaging.destination.name': 'domain-events',
        'messaging.destination.partition.id': '3',
        'messaging.kafka.offset': 41,
        'messaging.kafka.message.key': '01890a5d-ac96-774b-bcce-b302099a8057',
        'messaging.message.id': 'event-1',
        'genesis.event.type': 'Genesis.Session.Submitted',
      },
    });
    expect(sent?.attributes['genesis.outbox.wait_ms']).toBeGreaterThanOrEqual(5_000);
    expect(JSON.stringify(sent?.attributes)).not.toContain('of the author');
    expect(produce).toMatchObject({ name: 'produce domain-events', kind: SpanKind.CLIENT });
    expect(produce?.attributes['messaging.batch.message_count']).toBe(3);
    expect(produce?.links).toMatchObject([{ context: { traceId: TRACE_ID, spanId: SPAN_ID } }]);
    expect(sent?.links).toMatchObject([{ context: { spanId: produce?.spanContext().spanId } }]);
  });

  it('of records that nobody records has no span', async () => {
    const { spans, ended } = recordedSpans();
    const { publisher, sends } = publisherOf([acknowledged, acknowledged]);
    await tracedPublisher(publisher, spans).send([record(null), record(UNSAMPLED)]);
    expect(sends).toHaveLength(1);
    expect(ended()).toEqual([]);
  });

  it.each<RecordOutcome>([
    { kind: 'refused', error: 'MESSAGE_TOO_LARGE: hunter2' },
    { kind: 'unavailable', scope: 'cluster', error: 'away' },
    { kind: 'rolled-back', error: 'a neighbour' },
    { kind: 'fenced', error: 'another relay' },
  ])('that ends as $kind ends its spans so, without the words', async (outcome) => {
    const { spans, ended } = recordedSpans();
    const { publisher } = publisherOf([outcome]);
    expect(await tracedPublisher(publisher, spans).send([record(SAMPLED)])).toEqual([outcome]);
    for (const span of ended()) {
      expect(span).toMatchObject({
        status: { code: SpanStatusCode.ERROR },
        attributes: { 'error.type': outcome.kind },
      });
      expect(JSON.stringify([span.attributes, span.status, span.events])).not.toContain('hunter2');
    }
    expect(ended()).toHaveLength(2);
  });

  it('that fails as a whole fails as before', async () => {
    const { spans, ended } = recordedSpans();
    const { publisher } = publisherOf(new TypeError('a defect'));
    await expect(tracedPublisher(publisher, spans).send([record(SAMPLED)])).rejects.toThrow('a defect');
    expect(ended()).toMatchObject([{ name: 'produce domain-events', attributes: { 'error.type': 'TypeError' } }]);
  });

  it('links to 128 at the most, and each record has its span', async () => {
    const { spans, ended } = recordedSpans();
    const many = Array.from({ length: 300 }, () => record(SAMPLED));
    const { publisher } = publisherOf(many.map(() => acknowledged));
    await tracedPublisher(publisher, spans).send(many);
    const produce = ended().find(({ name }) => name === 'produce domain-events');
    expect(produce?.links).toHaveLength(128);
    expect(ended()).toHaveLength(301);
  });
});

it('a marker of a discarded event says that it has no value', async () => {
  const { spans, ended } = recordedSpans();
  const { publisher } = publisherOf([acknowledged]);
  await tracedPublisher(publisher, spans).send([record(SAMPLED, { payload: null })]);
  expect(ended()[0]?.attributes['messaging.kafka.message.tombstone']).toBe(true);
});

it('transactions are opened and fenced, and closed, as before', async () => {
  const { spans } = recordedSpans();
  const calls: string[] = [];
  const traced = tracedTransactions(
    {
      send: async () => [acknowledged],
      close: async () => void calls.push('close'),
      open: async (id) => void calls.push(`open ${id}`),
      fence: async (id) => void calls.push(`fence ${id}`),
      get isOpen() {
        return calls.length === 1;
      },
    },
    spans,
  );
  const { signal } = new AbortController();
  expect(traced.isOpen).toBe(false);
  await traced.open('a', signal);
  expect(traced.isOpen).toBe(true);
  await traced.fence('b', signal);
  expect(await traced.send([record(SAMPLED)])).toEqual([acknowledged]);
  await traced.close();
  expect(calls).toEqual(['open a', 'fence b', 'close']);
});
