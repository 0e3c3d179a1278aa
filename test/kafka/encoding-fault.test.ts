import { expect, test } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { encodingFault } from '../../src/kafka/encoding-fault.ts';
import type { OutgoingRecord } from '../../src/relay/ports.ts';

const sound: OutgoingRecord = {
  topic: 'events',
  key: '01890000-0000-7000-8000-000000000001' as SessionId,
  shard: 3,
  payload: '{"title":"长夜 🌙"}',
  headers: { ce_id: '1' },
};

test('a sound record has no fault', () => {
  expect(encodingFault(sound)).toBeNull();
});

test('a marker has no value, which is no fault', () => {
  expect(encodingFault({ ...sound, payload: null })).toBeNull();
});

test.each([
  ['a lone surrogate in the value', { payload: '\ud83d' }, 'lone surrogate'],
  ['a lone surrogate in a header', { headers: { note: '\udc00' } }, 'the header note'],
  ['a header that is no text', { headers: { sequence: 7 } }, 'the header sequence is no text'],
  ['headers that are no object', { headers: null }, 'no object'],
  ['a missing value', { payload: undefined }, 'the value is no text'],
  ['a negative partition', { shard: -1 }, 'the partition is -1'],
  ['a broken partition', { shard: 1.5 }, 'the partition is 1.5'],
  ['a value that no request can carry', { payload: 'x'.repeat(50 * 1024 * 1024 + 1) }, 'more than any request'],
])('%s is told', (_name, change, words) => {
  expect(encodingFault({ ...sound, ...change } as OutgoingRecord)).toContain(words);
});
