import { pino } from 'pino';
import { expect, it } from 'vitest';
import { describeError } from '../../src/observability/logger.ts';

it('tells what an error says and where, and its causes, but nothing that hangs on it', () => {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
  const error = Object.assign(new Error('away', { cause }), { client: { secretKey: 's3cret', password: 'hidden' } });
  const lines: string[] = [];
  const logger = pino({ serializers: { err: describeError } }, { write: (line: string) => void lines.push(line) });
  logger.warn({ err: error }, 'it broke');
  expect(lines.join()).not.toMatch(/s3cret|hidden|client/u);
  expect(JSON.parse(lines.join())).toMatchObject({
    err: { type: 'Error', message: 'away', cause: { message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' } },
  });
});

it('ends with causes that go round in a circle, and takes what is no error', () => {
  const error = new Error('a');
  error.cause = error;
  expect(JSON.stringify(describeError(error))).toContain('"cause"');
  expect(describeError('words')).toEqual({ type: 'string', message: 'words' });
});
