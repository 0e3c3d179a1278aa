import { trace, TraceFlags, type Context, type Link } from '@opentelemetry/api';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace';
import type { Config } from '../../config.ts';

type SamplerConfig = NonNullable<Config['tracing']>['sampler'];

/** Decides as configured, but for batches: see `SampledWithItsLinks`. Off is off for them, too. */
export function createSampler(config: SamplerConfig): Sampler {
  const sampler = configured(config);
  return config.kind === 'always_off' ? sampler : new SampledWithItsLinks(sampler);
}

/** Whether a trace that its caller does not record is not recorded here either: nothing of it needs to be begun. */
export function followsParents({ kind }: SamplerConfig): boolean {
  return kind.startsWith('parentbased_');
}

function configured({ kind, ratio }: SamplerConfig): Sampler {
  switch (kind) {
    case 'always_on':
      return new AlwaysOnSampler();
    case 'always_off':
      return new AlwaysOffSampler();
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio);
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() });
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() });
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) });
  }
}

/**
 * The span of a batch is in a trace of its own: it is recorded if one is that it links to, and its steps with it, whatever a ratio says
 * of that trace. Else those links would lead nowhere, or to a span without its steps.
 */
class SampledWithItsLinks implements Sampler {
  readonly #others: Sampler;

  constructor(others: Sampler) {
    this.#others = others;
  }

  shouldSample(...[context, traceId, name, kind, attributes, links]: Parameters<Sampler['shouldSample']>) {
    if (isBatch(context, links) || isStep(context)) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.#others.shouldSample(context, traceId, name, kind, attributes, links);
  }

  toString(): string {
    return `SampledWithItsLinks{${this.#others.toString()}}`;
  }
}

function isBatch(context: Context, links: readonly Link[]): boolean {
  if (links.length === 0 || trace.getSpanContext(context) !== undefined) return false;
  return links.some((link) => (link.context.traceFlags & TraceFlags.SAMPLED) !== 0);
}

/** Under a recorded span that this process has begun itself and not read from a traceparent: only batches have such. */
function isStep(context: Context): boolean {
  const parent = trace.getSpanContext(context);
  return parent !== undefined && parent.isRemote !== true && (parent.traceFlags & TraceFlags.SAMPLED) !== 0;
}
