import type { Reader } from './config-reader.ts';

/** What decides whether a trace is recorded, by OpenTelemetry's names. */
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

export interface SamplerConfig {
  readonly kind: (typeof SAMPLERS)[number];
  /** Part of the traces that begin here, 0–1. Only the kinds that end in `traceidratio` look at it. */
  readonly ratio: number;
}

/** Where spans go, and which. */
export interface TracingConfig {
  /** Of the receiver, its path included. It may hold a login: not to be logged. */
  readonly url: string;
  /** Sent with every export. Secrets: not to be logged. */
  readonly headers: Readonly<Record<string, string>>;
  readonly sampler: SamplerConfig;
  /** Null: named after SERVICE_TYPE. */
  readonly serviceName: string | null;
  /** Told of this process with every export, besides what it knows of itself. */
  readonly resource: Readonly<Record<string, string>>;
}

const TRACES_PATH = '/v1/traces';
/** A name of an HTTP header (RFC 9110, 5.1). */
const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/u;
/** What HTTP takes for the value of a header. */
const HEADER_VALUE = /^[\t\u0020-\u007E\u0080-\u00FF]*$/u;

/** Null: no endpoint is set, or OTEL_SDK_DISABLED says so. What is set is checked all the same. */
export function readTracing(reader: Reader): TracingConfig | null {
  const disabled = reader.oneOf('OTEL_SDK_DISABLED', ['true', 'false']) === 'true';
  const url = readEndpoint(reader);
  reader.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/json']);
  const config = {
    headers: {
      ...readPairs(reader, 'OTEL_EXPORTER_OTLP_HEADERS', isHeader),
      ...readPairs(reader, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', isHeader),
    },
    sampler: readSampler(reader),
    serviceName: reader.optional('OTEL_SERVICE_NAME') ?? null,
    resource: readPairs(reader, 'OTEL_RESOURCE_ATTRIBUTES', () => true),
  };
  return disabled || url === null ? null : { url, ...config };
}

/** The one for traces is taken as it is; to the one for all signals the path is added. */
function readEndpoint(reader: Reader): string | null {
  const all = reader.url('OTEL_EXPORTER_OTLP_ENDPOINT', ['http:', 'https:']);
  const traces = reader.url('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', ['http:', 'https:']);
  if (traces !== undefined) return traces;
  return all === undefined ? null : all.replace(/\/*$/u, TRACES_PATH);
}

function readSampler(reader: Reader): SamplerConfig {
  const kind = reader.oneOf('OTEL_TRACES_SAMPLER', SAMPLERS);
  const text = reader.text('OTEL_TRACES_SAMPLER_ARG');
  const ratio = /^(?:0|1|0?\.\d+|[01]\.\d+)$/u.test(text) ? Number(text) : Number.NaN;
  if (!(ratio >= 0 && ratio <= 1)) {
    reader.problem(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, not '${text}'`);
  }
  return { kind, ratio };
}

type Pairs = 'OTEL_EXPORTER_OTLP_HEADERS' | 'OTEL_EXPORTER_OTLP_TRACES_HEADERS' | 'OTEL_RESOURCE_ATTRIBUTES';

/** name=value, several separated by commas, in which what is not plain is percent-encoded (W3C Baggage without properties). */
function readPairs(
  reader: Reader,
  variable: Pairs,
  isGood: (name: string, value: string) => boolean,
): Readonly<Record<string, string>> {
  const pairs: Record<string, string> = {};
  for (const part of (reader.optional(variable) ?? '').split(',')) {
    if (part.trim() === '') continue;
    const at = part.indexOf('=');
    const name = decoded(part.slice(0, Math.max(0, at)));
    const value = decoded(part.slice(at + 1));
    if (name === null || name === '' || value === null || !isGood(name, value)) {
      // Not repeated: it may be a secret.
      reader.problem(`${variable} must be name=value, several separated by commas, special characters as %XX`);
      return {};
    }
    pairs[name] = value;
  }
  return pairs;
}

function isHeader(name: string, value: string): boolean {
  return HEADER_NAME.test(name) && HEADER_VALUE.test(value);
}

/** Null: a percent sign that begins no character. */
function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.trim());
  } catch {
    return null;
  }
}
