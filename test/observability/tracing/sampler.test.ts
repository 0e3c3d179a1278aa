import { SpanKind } from '@opentelemetry/api';
import { describe, expect, it } from 'vitest';
import type { SamplerConfig } from '../../../src/config-tracing.ts';
import { spanContextOf } from '../../../src/observability/tracing/traceparent.ts';
import { recordedSpans, SAMPLED, UNSAMPLED } from './rig.ts';

const INTERNAL = { kind: SpanKind.INTERNAL } as const;

describe('a span is recorded', () => {
  it.each<[SamplerConfig['kind'], number, boolean, boolean, boolean]>([
    // kind, ratio, without a parent, under a recorded one, under one that is not
    ['always_on', 1, true, true, true],
    ['always_off', 1, false, false, false],
    ['traceidratio', 0, false, false, false],
    ['traceidratio', 1, true, true, true],
    ['parentbased_always_on', 1, true, true, false],
    ['parentbased_always_off', 1, false, true, false],
    ['parentbased_traceidratio', 0, false, true, false],
    ['parentbased_traceidratio', 1, true, true, false],
  ])('with %s and %d: %s, %s, %s', (kind, ratio, alone, underSampled, underUnsampled) => {
    const { spans } = recordedSpans({ kind, ratio });
    const recorded = (traceparent: string | null) =>
      spans.start('x', { ...INTERNAL, parent: spanContextOf(traceparent) }).isRecording();
    expect([recorded(null), recorded(SAMPLED), recorded(UNSAMPLED)]).toEqual([alone, underSampled, underUnsampled]);
    // What may not be recorded is not even begun; nothing that is recorded may be passed over.
    expect([spans.mayRecord(SAMPLED), spans.mayRecord(UNSAMPLED), spans.mayRecord(null)]).toEqual([
      true,
      !kind.startsWith('parentbased'),
      false,
    ]);
  });

  /** The span of a batch, and one of its steps. */
  function batchOf(kind: SamplerConfig['kind'], ...traceparents: readonly string[]): readonly boolean[] {
    const { spans } = recordedSpans({ kind, ratio: 0 });
    const links = traceparents.flatMap((traceparent) => {
      const context = spanContextOf(traceparent);
      return context === null ? [] : [{ context }];
    });
    const batch = spans.start('batch', { ...INTERNAL, parent: null, links });
    const step = spans.start('step', { ...INTERNAL, parent: batch.spanContext() });
    return [batch.isRecording(), step.isRecording()];
  }

  it.each(['traceidratio', 'parentbased_traceidratio', 'parentbased_always_off'] as const)(
    'with %s when it begins a trace and links to one that is, and so are its steps',
    (kind) => {
      expect(batchOf(kind, UNSAMPLED, SAMPLED)).toEqual([true, true]);
      expect(batchOf(kind, UNSAMPLED)).toEqual([false, false]);
      expect(batchOf(kind)).toEqual([false, false]);
    },
  );

  it('never with always_off, whatever it links to', () => {
    expect(batchOf('always_off', SAMPLED)).toEqual([false, false]);
  });
});

it.each(['', 'x', SAMPLED.slice(1), `${SAMPLED}0`, SAMPLED.replace('00-', '01-'), SAMPLED.toUpperCase()])(
  '%j names no span',
  (text) => {
    expect(spanContextOf(text)).toBeNull();
  },
);
