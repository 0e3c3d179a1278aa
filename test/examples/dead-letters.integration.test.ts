import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { expect, inject, onTestFinished, test } from 'vitest';
import { createDeadLetters } from '../../examples/concept-agent/dead-letters.ts';
import { PoisonError } from '../../examples/concept-agent/read-record.ts';
import { readTopic } from '../relay/read-topic.ts';

test('a record without a value is put aside as it was', { timeout: 30_000 }, async () => {
  const brokers = inject('brokers');
  const topic = `dead-${randomUUID()}`;
  const stopping = new AbortController();
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  const letters = createDeadLetters({ brokers, topic, logger, stopping: stopping.signal });
  onTestFinished(async () => {
    stopping.abort();
    await letters.close();
  });
  await letters.ensureTopic();
  const record = { topic: 'events', partition: 3, offset: 7n, key: Buffer.from('k'), headers: new Map([['a', 'b']]) };
  // It is tried for ever: a failure is told at once, not after the time for the test.
  const failed = new Promise((_resolve, reject) => {
    logger.warn = (told: object) => reject(new Error(JSON.stringify(told)));
  });
  await Promise.race([letters.send(record, new PoisonError('the record has no value')), failed]);
  const [letter] = await readTopic(brokers, topic);
  expect(letter).toMatchObject({
    key: 'k',
    value: 'null',
    headers: { a: 'b', 'dlq-error': 'PoisonError: the record has no value', 'dlq-offset': '7' },
  });
  expect(lines.join('')).toContain('a record cannot be dealt with: put aside');
});
