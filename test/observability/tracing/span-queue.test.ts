import { SpanKind } from '@opentelemetry/api';
import { TracerProvider, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../../src/observability/metrics/metrics.ts';
import { tellFates } from '../../../src/observability/tracing/span-fates.ts';
import { SpanQueue } from '../../../src/observability/tracing/span-queue.ts';
import { Spans } from '../../../src/observability/tracing/spans.ts';
import { traceMetrics } from '../../../src/observability/tracing/trace-metrics.ts';
import { seriesOf, total } from '../metrics/series.ts';

type Done = Parameters<SpanExporter['export']>[1];

/** What a processor's exporter is asked, answered by the test. */
function aQueue() {
  const exports: { readonly spans: readonly ReadableSpan[]; readonly done: Done }[] = [];
  const exporter: SpanExporter = {
    export: (spans, done) => void exports.push({ spans, done }),
    shutdown: async () => undefined,
  };
  const lines: Record<string, unknown>[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) });
  const metrics = createMetrics({ version: '0', service: 'test' });
  const queue = new SpanQueue(exporter, tellFates(logger, traceMetrics(metrics)));
  const spans = new Spans(new TracerProvider({ spanProcessors: [queue] }).getTracer('test'), true);
  const end = (count: number) => {
    for (let i = 0; i < count; i += 1) spans.end(spans.start('x', { kind: SpanKind.INTERNAL, parent: null }));
  };
  const count = async (name: string, reason?: string) =>
    total(
      seriesOf((await metrics.scrape()).text),
      `genesis_trace_spans_${name}_total`,
      ...(reason === undefined ? [] : [`reason="${reason}"`]),
    );
  return { queue, exports, lines, end, count };
}

describe('spans that have ended', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('are exported within a second, and counted once the receiver has them', async () => {
    const { exports, end, count } = aQueue();
    end(3);
    expect(exports).toEqual([]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(exports[0]?.spans).toHaveLength(3);
    expect(await count('exported')).toBe(0);
    exports[0]?.done({ code: 0 });
    expect(await count('exported')).toBe(3);
    expect(await count('dropped')).toBe(0);
  });

  it('wait up to a bound while one export is under way; more are dropped, counted, and told once a minute', async () => {
    const { exports, end, lines, count } = aQueue();
    end(512);
    expect(exports).toHaveLength(1);
    end(8_192);
    expect(await count('dropped')).toBe(0);
    end(10);
    expect(await count('dropped', 'queue_full')).toBe(10);
    expect(lines).toMatchObject([{ level: 40, spans: 1, reason: 'queue_full' }]);
    await vi.advanceTimersByTimeAsync(20_000);
    end(1);
    expect(lines).toHaveLength(1);
    vi.advanceTimersByTime(60_000);
    end(1);
    expect(lines[1]).toMatchObject({ spans: 11, reason: 'queue_full' });
    // Room again, as soon as an export takes some.
    exports[0]?.done({ code: 0 });
    await vi.advanceTimersByTimeAsync(0);
    expect(exports).toHaveLength(2);
    end(512);
    expect(await count('dropped')).toBe(12);
  });

  it('are dropped when their export fails, with its words but not what hangs on it', async () => {
    const { exports, end, lines, count } = aQueue();
    end(2);
    await vi.advanceTimersByTimeAsync(1_000);
    exports[0]?.done({ code: 1, error: Object.assign(new Error('Bad Request'), { data: 'key hunter2 is unknown' }) });
    expect(await count('dropped', 'export_failed')).toBe(2);
    expect(lines).toMatchObject([{ spans: 2, reason: 'export_failed', error: 'Bad Request' }]);
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });

  it('are told as lost when the process does not wait for them, and are not counted twice', async () => {
    const { queue, exports, end, lines, count } = aQueue();
    end(512);
    end(5);
    void queue.shutdown().catch(() => undefined);
    queue.abandon();
    expect(await count('dropped', 'stopped')).toBe(517);
    expect(lines).toMatchObject([{ spans: 517, reason: 'stopped' }]);
    exports[0]?.done({ code: 1, error: new Error('cut') });
    expect(await count('dropped')).toBe(517);
  });
});
