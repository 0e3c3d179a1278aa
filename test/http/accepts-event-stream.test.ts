import { expect, test } from 'vitest';
import { acceptsEventStream } from '../../src/http/accepts-event-stream.ts';

test.each([
  'text/event-stream',
  'TEXT/Event-Stream',
  'text/event-stream, */*',
  'text/event-stream;q=0.9, */*;q=0.8',
  'application/json;q=0.5, text/event-stream',
  'text/html, text/event-stream ; q=0.001',
  'text/event-stream;q=1.000',
])('%s asks for a stream', (accept) => {
  expect(acceptsEventStream(accept)).toBe(true);
});

test.each([
  undefined,
  '',
  '*/*',
  'text/*',
  'application/json',
  'application/json, text/event-stream',
  'application/json, text/event-stream;q=0.9',
  'text/event-stream;q=0',
  'text/event-stream;q=0.000, */*',
  'text/event-stream;q=high',
  'text/event-streams',
  'text/html',
  ', ,;q=1,',
])('%s does not', (accept) => {
  expect(acceptsEventStream(accept)).toBe(false);
});
