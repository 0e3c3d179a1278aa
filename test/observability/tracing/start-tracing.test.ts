import { pino } from 'pino';
import { expect, it, onTestFinished } from 'vitest';
import { createTracing } from '../../../src/observability/tracing/start-tracing.ts';
import { startReceiver } from './receiver.ts';
import { SAMPLED } from './rig.ts';

it('what a client sends takes no more than 256 characters of an attribute', async () => {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.stop());
  const config = {
    url: `${receiver.endpoint}/v1/traces`,
    headers: {},
    sampler: { kind: 'always_on', ratio: 1 },
    serviceName: null,
    resource: {},
  } as const;
  const about = { serviceType: 'api-gateway', version: '0' } as const;
  const tracing = createTracing(config, about, pino({ level: 'silent' }), null);
  const path = `/sessions/${'x'.repeat(300)}`;
  const request = { method: 'GET', route: '/sessions/:session_id', path, traceparent: SAMPLED };
  tracing.requests.begin(request).end({ status: 400, sessionId: 'y'.repeat(300), commandId: null });
  await tracing.stop();
  expect(receiver.spans.map(({ attributes }) => attributes)).toEqual([
    {
      'http.request.method': 'GET',
      'http.route': '/sessions/:session_id',
      'url.path': path.slice(0, 256),
      'url.scheme': 'http',
      'genesis.session.id': 'y'.repeat(256),
      'http.response.status_code': 400,
    },
  ]);
});
