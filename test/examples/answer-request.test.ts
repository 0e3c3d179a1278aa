import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerRequest, type AnswerTools } from '../../examples/concept-agent/answer-request.ts';
import { createGenesisApi, OutageError, RefusedError, retryAfterOf } from '../../examples/concept-agent/genesis-api.ts';
import { readEvent, readRequest, type ConceptRequest } from '../../examples/concept-agent/read-record.ts';
import { readableLogger } from '../http/api-harness.ts';
import { aRecord, EVENT_ID, REQUEST_ID, SESSION_ID, TRACEPARENT } from './a-record.ts';

interface Call {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

/** What the API is to answer: a status with a body, a lost connection, or nothing at all. */
type Reply =
  | { readonly status: number; readonly body?: object | string; readonly headers?: Record<string, string> }
  | 'lost'
  | 'silence';

const OUTSTANDING: Reply = { status: 200, body: { outstanding_request: REQUEST_ID } };
const ACCEPTED: Reply = { status: 200, body: { status: 'COMPLETED' } };
const CONCEPTS = [{ title: 'A', summary: 'B', themes: [] }];

function theRequest(): ConceptRequest {
  const request = readRequest(readEvent(aRecord()));
  if (request === null) throw new Error('no request');
  return request;
}

const problem = (status: number, error_code: string, headers: Record<string, string> = {}): Reply => ({
  status,
  body: { error_code, message: 'in words' },
  headers,
});

function send({ status, body = {}, headers }: Exclude<Reply, string>, response: ServerResponse): void {
  response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body));
}

describe('answering a request through the API', () => {
  let calls: Call[];
  let reads: Reply[];
  let writes: Reply[];
  let generate: AnswerTools['generate'];
  let stopping: AbortController;
  let log: ReturnType<typeof readableLogger>;
  const server = createServer((request, response) => void answer(request, response));

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks = await request.toArray();
    const body = chunks.length === 0 ? null : (JSON.parse(Buffer.concat(chunks).toString()) as unknown);
    const { method = '', url = '', headers } = request;
    calls.push({ method, path: url, headers, body });
    const reply = method === 'GET' ? (reads.shift() ?? OUTSTANDING) : (writes.shift() ?? ACCEPTED);
    if (reply === 'lost') request.socket.destroy();
    else if (reply !== 'silence') send(reply, response);
  }

  beforeEach(async () => {
    calls = [];
    reads = [];
    writes = [];
    generate = vi.fn(async () => CONCEPTS);
    stopping = new AbortController();
    log = readableLogger();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const run = (cut = new AbortController().signal) => {
    const { port } = server.address() as AddressInfo;
    return answerRequest(theRequest(), {
      api: createGenesisApi(`http://127.0.0.1:${port}`, 'the-token', cut),
      generate: (preferences, signal) => generate(preferences, signal),
      logger: log.logger,
      stopping: stopping.signal,
      backoff: { first: 1, most: 2 },
    });
  };
  const written = () => calls.filter(({ method }) => method === 'POST');

  it('proposes concepts, repeatably: the id of the event is the Idempotency-Key', async () => {
    expect(await run()).toBe('accepted');
    expect(calls).toMatchObject([
      {
        method: 'GET',
        path: `/api/v1/genesis/sessions/${SESSION_ID}`,
        headers: { authorization: 'Bearer the-token', traceparent: TRACEPARENT },
      },
      {
        method: 'POST',
        path: `/api/v1/genesis/sessions/${SESSION_ID}/commands`,
        headers: {
          authorization: 'Bearer the-token',
          'content-type': 'application/json',
          'idempotency-key': EVENT_ID,
          traceparent: TRACEPARENT,
        },
        body: { command_type: 'ProposeConcepts', payload: { request_id: REQUEST_ID, concepts: CONCEPTS } },
      },
    ]);
    expect(generate).toHaveBeenCalledWith(
      { seed: REQUEST_ID, themes: ['科幻', '悬疑'], styles: ['快节奏'] },
      stopping.signal,
    );
  });

  it.each([null, 'another-request'])('asks no model when the session waits for %s', async (outstanding_request) => {
    reads = [{ status: 200, body: { outstanding_request } }];
    expect(await run()).toBe('too late');
    expect(generate).not.toHaveBeenCalled();
    expect(written()).toEqual([]);
  });

  it.each([
    ['NOTHING_TO_ANSWER', problem(409, 'NOTHING_TO_ANSWER'), 'too late'],
    ['SESSION_CLOSED', problem(409, 'SESSION_CLOSED'), 'too late'],
    ['IDEMPOTENCY_KEY_REUSED', problem(422, 'IDEMPOTENCY_KEY_REUSED'), 'repeated'],
    ['a replayed answer', { status: 200, headers: { 'idempotency-replayed': 'true' } }, 'repeated'],
  ] as const)('is done after %s', async (_what, reply, delivery) => {
    writes = [reply];
    expect(await run()).toBe(delivery);
    expect(calls).toHaveLength(2);
  });

  it.each([
    ['429', problem(429, 'RATE_LIMITED')],
    ['503', problem(503, 'OVERLOADED')],
    ['504', problem(504, 'OUTCOME_UNKNOWN')],
    ['502 of a gateway', { status: 502, body: '<html>' }],
    ['401: somebody renews the token', problem(401, 'UNAUTHENTICATED')],
    ['403: somebody grants the role', problem(403, 'FORBIDDEN')],
    ['a lost connection', 'lost'],
  ] as const)('outlasts %s, however often, with the same answer', async (_what, reply) => {
    reads = Array.from({ length: 12 }, () => reply);
    writes = Array.from({ length: 12 }, () => reply);
    expect(await run()).toBe('accepted');
    expect(generate).toHaveBeenCalledTimes(1);
    expect(written()).toHaveLength(13);
    expect(
      new Set(written().map(({ body, headers }) => JSON.stringify([body, headers['idempotency-key']]))),
    ).toHaveProperty('size', 1);
  });

  it('waits as long as Retry-After says', async () => {
    writes = [problem(503, 'UNAVAILABLE', { 'retry-after': '1' })];
    const began = performance.now();
    await run();
    expect(performance.now() - began).toBeGreaterThan(990);
  });

  it.each([
    ['404', problem(404, 'SESSION_NOT_FOUND')],
    ['422', problem(422, 'INVALID_PAYLOAD')],
    ['500', problem(500, 'INTERNAL_ERROR')],
    ['a redirection', { status: 302 }],
  ])('gives up after five times %s, and says what the API said', async (status, reply) => {
    writes = Array.from({ length: 9 }, () => reply);
    await expect(run()).rejects.toThrow(RefusedError);
    expect(written()).toHaveLength(5);
    expect(status).toBeDefined();
  });

  it('counts refusals only, not the outages between them', async () => {
    const refused = problem(404, 'SESSION_NOT_FOUND');
    writes = [refused, 'lost', refused, 'lost', refused, 'lost', refused, 'lost', ACCEPTED];
    expect(await run()).toBe('accepted');
  });

  it('tells the author when no concepts could be made', async () => {
    generate = vi.fn(() => Promise.reject(new Error('the model is overloaded')));
    expect(await run()).toBe('accepted');
    expect(generate).toHaveBeenCalledTimes(5);
    expect(written()).toMatchObject([
      {
        body: {
          command_type: 'FailConceptGeneration',
          payload: { request_id: REQUEST_ID, reason: 'GENERATION_FAILED' },
        },
      },
    ]);
  });

  it('leaves a request unanswered when the agent stops while concepts are made', async () => {
    generate = (_preferences, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
        stopping.abort(new Error('stop'));
      });
    await expect(run()).rejects.toThrow('stop');
    expect(written()).toEqual([]);
  });

  it('leaves a request unanswered when the agent stops in an outage', async () => {
    reads = Array.from({ length: 1_000 }, () => 'lost' as const);
    const running = run();
    await vi.waitFor(() => expect(calls.length).toBeGreaterThan(2));
    stopping.abort(new Error('stop'));
    await expect(running).rejects.toThrow();
    const { length } = calls;
    expect(length).toBeLessThan(1_000);
  });

  it('lets an answer on its way arrive, and cuts it when that takes too long', async () => {
    writes = ['silence'];
    const cut = new AbortController();
    const running = run(cut.signal);
    await vi.waitFor(() => expect(written()).toHaveLength(1));
    stopping.abort(new Error('stop'));
    cut.abort();
    await expect(running).rejects.toThrow();
  });

  it('calls a closed port an outage and says which', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const api = createGenesisApi(`http://127.0.0.1:${port}`, 'the-token', new AbortController().signal);
    const failure = api.isOutstanding(theRequest());
    await expect(failure).rejects.toThrow(OutageError);
    await expect(failure).rejects.toThrow('ECONNREFUSED');
  });

  it('never logs the token', async () => {
    reads = ['lost', problem(401, 'UNAUTHENTICATED')];
    await run();
    expect(log.lines.length).toBeGreaterThan(1);
    expect(log.text()).not.toContain('the-token');
  });
});

describe('Retry-After', () => {
  it.each([
    [null, 0],
    ['3', 3_000],
    ['0', 0],
    ['Mon, 23 Nov 2026 06:00:05 GMT', 5_000],
    ['Mon, 23 Nov 2026 05:00:00 GMT', 0],
    ['999999', 300_000],
    ['soon', 0],
  ])('%s is %d ms', (header, milliseconds) => {
    expect(retryAfterOf(header, Date.parse('2026-11-23T06:00:00Z'))).toBe(milliseconds);
  });
});
