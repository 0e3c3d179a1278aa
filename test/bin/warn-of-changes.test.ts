import { expect, test } from 'vitest';
import { warnOfChanges } from '../../src/bin/warn-of-changes.ts';
import type { EarlierRuns } from '../../src/postgres/earlier-runs.ts';

type Earlier = Pick<EarlierRuns, 'newestTopic' | 'exactlyOnce'>;

function warnings(earlier: Earlier, delivery: 'at-least-once' | 'exactly-once'): readonly string[] {
  const told: unknown[][] = [];
  const logger = { warn: (...words: unknown[]) => void told.push(words) };
  warnOfChanges(earlier, { topic: 'domain-events', relay: { delivery } }, logger);
  return told.map((words) => String(words.at(-1)));
}

test('says nothing where all is as it was, or nothing was before', () => {
  expect(warnings({ newestTopic: null, exactlyOnce: false }, 'exactly-once')).toEqual([]);
  expect(warnings({ newestTopic: 'domain-events', exactlyOnce: true }, 'exactly-once')).toEqual([]);
  expect(warnings({ newestTopic: 'domain-events', exactlyOnce: false }, 'at-least-once')).toEqual([]);
});

test('names both topics when the newest rows are for another', () => {
  const [told = '', ...more] = warnings({ newestTopic: 'of-old', exactlyOnce: false }, 'at-least-once');
  expect(told).toMatch(/^KAFKA_TOPIC is domain-events, but the newest rows of event_outbox are for of-old: /);
  expect(more).toEqual([]);
});

test('says so when exactly once has become at least once', () => {
  const [told = ''] = warnings({ newestTopic: null, exactlyOnce: true }, 'at-least-once');
  expect(told).toContain('Set RELAY_DELIVERY=exactly-once');
});
