import { expect, test } from 'vitest';
import { wasPublishedTo } from '../../src/postgres/earlier-runs.ts';

const NOTHING = { newestTopic: null, publishedTopic: null, published: false };

test('a topic that nothing was published to may be made, also while its first events wait', () => {
  expect(wasPublishedTo('now', NOTHING)).toBe(false);
  expect(wasPublishedTo('now', { ...NOTHING, newestTopic: 'now' })).toBe(false);
});

test('rows that were published decide by their topic', () => {
  expect(wasPublishedTo('now', { newestTopic: 'now', publishedTopic: 'now', published: true })).toBe(true);
  expect(wasPublishedTo('now', { newestTopic: 'now', publishedTopic: 'old', published: true })).toBe(false);
  expect(wasPublishedTo('now', { newestTopic: 'old', publishedTopic: 'now', published: true })).toBe(true);
});

test('where they were cleaned up, what was published counts as this topic, unless the newest row is for another', () => {
  expect(wasPublishedTo('now', { ...NOTHING, published: true })).toBe(true);
  expect(wasPublishedTo('now', { ...NOTHING, published: true, newestTopic: 'now' })).toBe(true);
  expect(wasPublishedTo('now', { ...NOTHING, published: true, newestTopic: 'old' })).toBe(false);
});
