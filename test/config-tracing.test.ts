import { describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { both, problemsOf, type Environment } from './config-problems.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const tracingOf = (env: Environment) => loadConfig({ ...both, ...env }).tracing;

describe('traces', () => {
  it('are off without an endpoint, whatever else is set', () => {
    expect(tracingOf({})).toBeNull();
    expect(tracingOf({ OTEL_SERVICE_NAME: 'x', OTEL_TRACES_SAMPLER: 'always_on' })).toBeNull();
  });

  it('are off when OTEL_SDK_DISABLED says so', () => {
    expect(tracingOf({ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' })).toBeNull();
    expect(tracingOf({ ...ENDPOINT, OTEL_SDK_DISABLED: 'false' })).not.toBeNull();
  });

  it('have the defaults of OpenTelemetry', () => {
    expect(tracingOf(ENDPOINT)).toStrictEqual({
      url: 'http://collector:4318/v1/traces',
      headers: {},
      sampler: { kind: 'parentbased_always_on', ratio: 1 },
      serviceName: null,
      resource: {},
    });
  });

  it.each([
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/' }, 'http://c:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp' }, 'https://c/otlp/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:4318/as/it/is' }, 'http://c:4318/as/it/is'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:1/' }, 'http://other:1/'],
  ])('go where %j says', (env, url) => {
    expect(tracingOf(env)?.url).toBe(url);
  });

  it('take headers and attributes as pairs, decoded; the headers for traces win', () => {
    const tracing = tracingOf({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a%3Db, x-one=1,',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-one=2',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging,team=小说',
    });
    expect(tracing?.headers).toEqual({ authorization: 'Bearer a=b', 'x-one': '2' });
    expect(tracing?.resource).toEqual({ 'deployment.environment.name': 'staging', team: '小说' });
  });

  it.each(['0', '1', '0.25', '.5', '1.0'])('take %s for a ratio', (OTEL_TRACES_SAMPLER_ARG) => {
    const sampler = { kind: 'parentbased_traceidratio', ratio: Number(OTEL_TRACES_SAMPLER_ARG) };
    const env = { ...ENDPOINT, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG };
    expect(tracingOf(env)?.sampler).toEqual(sampler);
  });

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'grpc://collector:4317'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_SAMPLER', 'sometimes'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5'],
    ['OTEL_TRACES_SAMPLER_ARG', 'half'],
    ['OTEL_SDK_DISABLED', 'yes'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', '=secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a b=secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=secret%0d%0aother:%201'],
    ['OTEL_EXPORTER_OTLP_TRACES_HEADERS', 'a=secret%zz'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'secret'],
  ] as const)('a bad %s (%s) names itself, traces on or off, and tells no secret', (name, value) => {
    for (const env of [{ [name]: value }, { ...ENDPOINT, OTEL_SDK_DISABLED: 'true', [name]: value }]) {
      const problems = problemsOf({ ...both, ...env });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^${name} must be`, 'u'));
      expect(problems[0]).not.toContain('secret');
    }
  });
});
