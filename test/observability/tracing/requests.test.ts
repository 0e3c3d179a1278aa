import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { GenesisError } from '../../../src/errors.ts';
import type { EventId } from '../../../src/genesis/ids.ts';
import type { HttpDependencies } from '../../../src/http/ports.ts';
import { createHttpServer } from '../../../src/http/server.ts';
import { RequestTracer } from '../../../src/observability/tracing/request-tracer.ts';
import { identityOf } from '../../../src/relay/identity.ts';
import { COMMANDS, createApi, SESSION_ID, SESSIONS, tokenOf } from '../../http/api-harness.ts';
import { recordedSpans, SAMPLED, SPAN_ID, TRACE_ID, UNSAMPLED } from './rig.ts';

const FEEDBACK = { command_type: 'SubmitFeedback', payload: { feedback: 'darker' } };

type Call = Omit<RequestInit, 'headers'> & { readonly headers?: Readonly<Record<string, string>> };

/** The API over real sockets, its requests traced. */
async function tracedApi(changes: Partial<HttpDependencies> = {}) {
  const { spans, ended } = recordedSpans();
  const api = createApi({ tracer: new RequestTracer(spans), ...changes });
  const server = createHttpServer(api.dependencies);
  await server.start();
  onTestFinished(() => server.stop());
  const known = { authorization: `Bearer ${await tokenOf('alice')}`, 'content-type': 'application/json' };
  const call = (path: string, { headers = {}, ...init }: Call = {}) =>
    fetch(`${server.address()}${path}`, { ...init, headers: { ...known, ...headers } });
  const send = (traceparent: string) =>
    call(COMMANDS, { method: 'POST', headers: { traceparent }, body: JSON.stringify(FEEDBACK) });
  /** A span ends a moment after its answer has arrived. */
  const has = (count: number) =>
    vi.waitFor(() => {
      expect(ended()).toHaveLength(count);
      return ended();
    });
  return { ...api, call, send, has, ended };
}

describe('a request', () => {
  it('is a span in the caller’s trace, and its command goes on under that', async () => {
    const { send, has, requests } = await tracedApi();
    expect((await send(SAMPLED)).status).toBe(200);
    const [span] = await has(1);
    expect(span).toMatchObject({
      name: `POST ${SESSIONS}/:session_id/commands`,
      kind: SpanKind.SERVER,
      parentSpanContext: { traceId: TRACE_ID, spanId: SPAN_ID },
      status: { code: SpanStatusCode.UNSET },
    });
    expect(span?.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': `${SESSIONS}/:session_id/commands`,
      'url.path': COMMANDS,
      'url.scheme': 'http',
      'http.response.status_code': 200,
      'genesis.session.id': SESSION_ID,
      'genesis.command.id': requests[0]?.commandId,
    });
    expect(requests[0]?.traceparent).toBe(`00-${TRACE_ID}-${span?.spanContext().spanId}-01`);
  });

  it('that its caller does not record goes on unrecorded, under an id of its own', async () => {
    const { send, requests, ended } = await tracedApi();
    await send(UNSAMPLED);
    expect(requests[0]?.traceparent).toMatch(new RegExp(`^00-${TRACE_ID}-[0-9a-f]{16}-00$`, 'u'));
    expect(requests[0]?.traceparent).not.toContain(SPAN_ID);
    expect(ended()).toEqual([]);
  });

  it('without a tracer carries its caller’s trace on as it is', async () => {
    const { tracer: _tracer, ...untraced } = (await tracedApi()).dependencies;
    const api = createApi(untraced);
    await api.fastify.inject({
      method: 'POST',
      url: COMMANDS,
      headers: { traceparent: SAMPLED, authorization: `Bearer ${await tokenOf('alice')}` },
      payload: FEEDBACK,
    });
    expect(api.requests[0]?.traceparent).toBe(SAMPLED);
  });

  it('that is refused tells the trace’s id, and only a 5xx counts as an error', async () => {
    const { call, has } = await tracedApi({
      sessions: { read: () => Promise.reject(new GenesisError('UNAVAILABLE', 'away')) },
    });
    const answers = [
      await call(`${SESSIONS}/${SESSION_ID}`),
      await call(`${SESSIONS}/nonsense?token=hunter2`),
      await call('/api/v1/nowhere/of-a-reader'),
      await call(SESSIONS, { headers: { authorization: 'Bearer none' } }),
    ];
    const spans = await has(4);
    const seen = spans.map(({ attributes, status }) => [attributes['http.response.status_code'], status.code]);
    const { UNSET, ERROR } = SpanStatusCode;
    expect(seen).toEqual([
      [503, ERROR],
      [400, UNSET],
      [404, UNSET],
      [401, UNSET],
    ]);
    expect(spans[2]?.name).toBe('GET');
    // Whatever somebody without a token makes up is no part of a trace.
    expect(JSON.stringify(spans[2]?.attributes)).not.toContain('of-a-reader');
    for (const [index, answer] of answers.entries()) {
      const { trace_id: traceId } = (await answer.json()) as { trace_id: string };
      expect(traceId).toBe(spans[index]?.spanContext().traceId);
    }
    expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain('hunter2');
  });

  it('whose client does not wait says so', async () => {
    const arrived = Promise.withResolvers<void>();
    const execute = () => {
      arrived.resolve();
      return new Promise<never>(() => undefined);
    };
    const { call, has } = await tracedApi({ commands: { execute } });
    const gone = new AbortController();
    const calling = call(SESSIONS, { method: 'POST', body: '{}', signal: gone.signal });
    await arrived.promise;
    gone.abort();
    await expect(calling).rejects.toThrow();
    const [span] = await has(1);
    expect(span?.attributes['genesis.client.gone']).toBe(true);
    expect(span?.attributes['http.response.status_code']).toBeUndefined();
  });

  it('of a probe, a scrape or a document is none', async () => {
    const { call, ended } = await tracedApi();
    for (const path of ['/livez', '/readyz', '/openapi.json', '/nowhere']) await call(path);
    expect(ended()).toEqual([]);
  });
});

describe('lines of the log', () => {
  it('about a request carry its trace, its session and its command', async () => {
    const { send, log, requests, has } = await tracedApi({
      commands: { execute: () => Promise.reject(new GenesisError('UNAVAILABLE', 'away')) },
    });
    const { trace_id: told } = (await (await send(SAMPLED)).json()) as { trace_id: string };
    await has(1);
    const identity = { trace_id: TRACE_ID, session_id: SESSION_ID, command_id: requests[0]?.commandId };
    expect(told).toBe(TRACE_ID);
    expect(log.lines.filter(({ status }) => status === 503)).toMatchObject([
      { level: 40, msg: 'away', ...identity },
      { level: 20, msg: 'request', ...identity },
    ]);
    expect(log.text()).not.toContain(await tokenOf('alice'));
  });

  it('about a row carry its event and its session, and its trace if it has one', () => {
    const row = { eventId: 'e' as EventId, key: SESSION_ID, headers: { traceparent: SAMPLED } };
    expect(identityOf(row)).toEqual({ event_id: 'e', session_id: SESSION_ID, trace_id: TRACE_ID });
    expect(identityOf({ ...row, headers: {} })).toEqual({ event_id: 'e', session_id: SESSION_ID });
  });
});
