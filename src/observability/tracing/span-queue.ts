import type { Context } from '@opentelemetry/api';
import { BatchSpanProcessor, type ReadableSpan, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';

/** Why spans were not exported. */
export type DropReason = 'queue_full' | 'export_failed' | 'stopped';

/** Told of what became of spans. Must not throw. */
export interface SpanFates {
  exported(spans: number): void;
  /** @param error Why their export failed, if that is why. */
  dropped(spans: number, reason: DropReason, error?: Error): void;
}

/** Spans that wait for their export; more are dropped. At the rates of a busy API with every request sampled, under a second's. */
const QUEUE_MAX = 8_192;
/** Spans of one export. */
const EXPORT_MAX = 512;
/** Milliseconds that spans wait for company at the most. */
const DELAY = 1_000;

type Done = Parameters<SpanExporter['export']>[1];

/** OpenTelemetry's own batching and exporting, with a record of each span that goes no further. Never in anybody's way. */
export class SpanQueue implements SpanProcessor {
  readonly #fates: SpanFates;
  readonly #batches: BatchSpanProcessor;
  #waiting = 0;
  #exporting = 0;
  #stopped = false;

  constructor(exporter: SpanExporter, fates: SpanFates) {
    this.#fates = fates;
    this.#batches = new BatchSpanProcessor({
      exporter: {
        export: (spans, done) => this.#export(exporter, spans, done),
        shutdown: () => exporter.shutdown(),
      },
      maxQueueSize: QUEUE_MAX,
      maxExportBatchSize: EXPORT_MAX,
      scheduledDelayMillis: DELAY,
    });
  }

  onStart(_span: ReadableSpan, _context: Context): void {
    // Spans count once they end.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#stopped || this.#waiting >= QUEUE_MAX) {
      this.#fates.dropped(1, this.#stopped ? 'stopped' : 'queue_full');
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  /** Resolves once all has been exported, however long that takes. Rejects when an export failed. */
  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }

  /** What has not arrived by now never will. */
  abandon(): void {
    this.#stopped = true;
    const lost = this.#waiting + this.#exporting;
    if (lost > 0) this.#fates.dropped(lost, 'stopped');
    this.#waiting = this.#exporting = 0;
  }

  #export(exporter: SpanExporter, spans: ReadableSpan[], done: Done): void {
    this.#waiting -= spans.length;
    this.#exporting += spans.length;
    exporter.export(spans, (result) => {
      if (!this.#stopped) this.#tell(spans.length, result);
      done(result);
    });
  }

  #tell(spans: number, { code, error }: Parameters<Done>[0]): void {
    this.#exporting -= spans;
    if (code === EXPORTED) this.#fates.exported(spans);
    else this.#fates.dropped(spans, 'export_failed', error);
  }
}

/** ExportResultCode.SUCCESS of a package that is otherwise not needed. */
const EXPORTED: Parameters<Done>[0]['code'] = 0;
