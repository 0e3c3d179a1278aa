import type { ShardState } from '../../relay/ports.ts';

/** What a shard with an owner can be in. */
export const OWNED_SHARD_STATES: readonly ShardState[] = [
  'recovering',
  'active',
  'unavailable',
  'topic-ahead',
  'paused',
  'leaving',
];
export const SHARD_STATES: readonly ShardState[] = ['free', ...OWNED_SHARD_STATES];

/** One of the states as series: 1 for the one, 0 for the others. One that nobody foresaw is left out. */
export function setState(states: readonly string[], current: string, set: (state: string, value: 0 | 1) => void): void {
  for (const state of states) set(state, state === current ? 1 : 0);
}
