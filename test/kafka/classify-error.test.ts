import { MultipleErrors, NetworkError, ProtocolError, ResponseError, UserError } from '@platformatic/kafka';
import { expect, test } from 'vitest';
import { errorWords, isStaleLeader, readProduceFailure } from '../../src/kafka/classify-error.ts';

const PRODUCE = 0;

function response(...partitions: { index: number; errorCode: number; baseOffset?: bigint; errorMessage?: string }[]) {
  const errors = partitions
    .filter(({ errorCode }) => errorCode !== 0)
    .map(({ index, errorCode }) => [`/responses/0/partition_responses/${index}`, [errorCode, null]] as const);
  return new ResponseError(PRODUCE, 11, Object.fromEntries(errors) as unknown as Record<string, [number, null]>, {
    responses: [
      {
        name: 'events',
        partitionResponses: partitions.map((partition) => ({ baseOffset: -1n, errorMessage: null, ...partition })),
      },
    ],
  });
}

test('one request may be written in one partition and refused in another', () => {
  const { answers } = readProduceFailure(
    new MultipleErrors('Producing messages failed.', [
      response({ index: 0, errorCode: 0, baseOffset: 7n }, { index: 1, errorCode: 10 }),
    ]),
  );
  expect(answers.get('events:0')).toEqual({ kind: 'acknowledged', baseOffset: 7n });
  expect(answers.get('events:1')).toMatchObject({
    kind: 'refused',
    error: expect.stringContaining('MESSAGE_TOO_LARGE') as string,
  });
});

test.each([
  ['MESSAGE_TOO_LARGE', 10],
  ['RECORD_LIST_TOO_LARGE', 18],
  ['INVALID_TIMESTAMP', 32],
  ['INVALID_RECORD', 87],
])('%s is a refusal', (_name, errorCode) => {
  expect(readProduceFailure(response({ index: 0, errorCode })).answers.get('events:0')?.kind).toBe('refused');
});

test.each([
  ['UNKNOWN_TOPIC_OR_PARTITION', 3, 'topic'],
  ['TOPIC_AUTHORIZATION_FAILED', 29, 'topic'],
  ['NOT_LEADER_OR_FOLLOWER', 6, 'partition'],
  ['NOT_ENOUGH_REPLICAS', 19, 'partition'],
  ['KAFKA_STORAGE_ERROR', 56, 'partition'],
  ['OUT_OF_ORDER_SEQUENCE_NUMBER', 45, 'cluster'],
  ['UNKNOWN_SERVER_ERROR', -1, 'cluster'],
  ['a code of the future', 9_999, 'cluster'],
])('%s is an outage', (_name, errorCode, scope) => {
  const failure = errorCode === 9_999 ? futureError() : response({ index: 0, errorCode });
  expect(readProduceFailure(failure).answers.get('events:0')).toMatchObject({ kind: 'unavailable', scope });
});

/** The client has no words for it, but the response carries the number. */
function futureError(): Error {
  const error = new Error('unknown') as Error & { response: unknown };
  error.response = {
    responses: [{ name: 'events', partitionResponses: [{ index: 0, errorCode: 9_999, baseOffset: -1n }] }],
  };
  return error;
}

test("the broker's own words are kept", () => {
  const { answers } = readProduceFailure(response({ index: 0, errorCode: 87, errorMessage: 'one magic too many' }));
  expect(answers.get('events:0')).toEqual({ kind: 'refused', error: 'INVALID_RECORD: one magic too many' });
});

test('an acknowledgement in an earlier try is not forgotten in a later one', () => {
  const { answers } = readProduceFailure(
    new MultipleErrors('produce failed 2 times.', [
      response({ index: 0, errorCode: 0, baseOffset: 3n }, { index: 1, errorCode: 6 }),
      response({ index: 0, errorCode: 46 }, { index: 1, errorCode: 10 }),
    ]),
  );
  expect(answers.get('events:0')).toEqual({ kind: 'acknowledged', baseOffset: 3n });
  expect(answers.get('events:1')?.kind).toBe('refused');
});

test('the acknowledgements of other brokers are found on the error', () => {
  const error = new MultipleErrors('Producing messages failed.', [new NetworkError('Connection closed')]);
  error['produced'] = { offsets: [{ topic: 'events', partition: 4, offset: 12n }] };
  expect(readProduceFailure(error).answers.get('events:4')).toEqual({ kind: 'acknowledged', baseOffset: 12n });
});

test('what nobody answered for is an outage of the cluster, in the words of the last try', () => {
  const failure = readProduceFailure(
    new MultipleErrors('produce failed 2 times.', [new NetworkError('first'), new NetworkError('second')]),
  );
  expect(failure.answers.size).toBe(0);
  expect(failure.otherwise).toEqual({ scope: 'cluster', error: 'second' });
});

test('that we closed the client is not what went wrong', () => {
  const failure = new MultipleErrors('produce failed 2 times.', [
    new NetworkError('no route'),
    new NetworkError('Connection closed'),
    new UserError('Client closed while retrying produce.'),
    new NetworkError('Connection pool is closed.', { closed: true }),
  ]);
  expect(readProduceFailure(failure).otherwise.error).toBe('no route');
  expect(errorWords(new NetworkError('Connection closed'))).toBe('Connection closed');
});

test('an unknown topic is an outage of the topic', () => {
  expect(readProduceFailure(new UserError('Unknown topic events.')).otherwise.scope).toBe('topic');
});

test('anything at all can be classified', () => {
  for (const error of [undefined, null, 'text', 7, new Error('plain'), { response: { responses: 'no' } }]) {
    expect(readProduceFailure(error).otherwise.scope).toBe('cluster');
  }
});

test('words name the error code and the cause', () => {
  expect(errorWords(new ProtocolError(29))).toMatch(/^TOPIC_AUTHORIZATION_FAILED: /);
  expect(errorWords(new NetworkError('failed', { cause: new Error('refused') }))).toBe('failed (refused)');
});

test('a stale leader is seen however deep it is nested', () => {
  expect(isStaleLeader(new MultipleErrors('x', [response({ index: 0, errorCode: 6 })]))).toBe(true);
  expect(isStaleLeader(new NetworkError('x'))).toBe(false);
});
