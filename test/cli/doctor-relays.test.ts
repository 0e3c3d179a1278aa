import { describe, expect, it } from 'vitest';
import { judgeRelays, type FoundRelays } from '../../src/cli/doctor/judge-relays.ts';
import type { Backlog } from '../../src/outbox/operations/figures.ts';
import type { ShardFacts } from '../../src/outbox/operations/ports.ts';
import { NO_BACKLOG } from '../support/no-backlog.ts';

const RELAY = { id: 1, name: 'host 17', delivery: 'at-least-once', joinedAt: 0, expiresIn: 4, shards: [0, 1, 2] };

function shard(number: number, changes: Partial<ShardFacts> = {}): ShardFacts {
  return {
    shard: number,
    owner: { id: 1, name: 'host 17' },
    leaseExpiresIn: 4,
    state: 'active',
    paused: false,
    topicAheadAt: null,
    epoch: 1,
    floor: 1,
    position: '0',
    lastProgressAt: null,
    lastError: null,
    ...changes,
  };
}

interface Changes {
  readonly shards?: readonly ShardFacts[];
  readonly members?: FoundRelays['relays']['members'];
  readonly backlog?: Partial<Backlog>;
}

/** What is not well, as `level name: detail → todo`. */
function told({ shards = [shard(0), shard(1), shard(2)], members = [RELAY], backlog = {} }: Changes) {
  const found: FoundRelays = {
    relays: { shards, members, topicAhead: false },
    backlogs: { total: { ...NO_BACKLOG, ...backlog }, shards: new Map() },
    earlier: { newestTopic: null, publishedTopic: null, published: false, exactlyOnce: false },
    ahead: [],
  };
  return judgeRelays(found, { delivery: 'at-least-once', topic: 'domain-events' })
    .filter(({ level }) => level !== 'ok')
    .map(({ level, name, detail, todo }) => `${level} ${name}: ${detail} → ${todo}`);
}

describe('relays', () => {
  it('are well when they are', () => {
    expect(told({})).toEqual([]);
  });

  it('whose shard is not read back are told, with the error if there was one', () => {
    const recovering = { state: 'recovering', lastError: null };
    const stuck = { state: 'recovering', lastError: 'connect ECONNREFUSED 10.0.0.7:9092' };
    expect(told({ shards: [shard(0, recovering), shard(1, stuck), shard(2, recovering)] })).toEqual([
      'warn recovering: shard 1 is read back and not drained yet; what went wrong last: connect ECONNREFUSED 10.0.0.7:9092 → ' +
        'mend what that says: the relay tries again by itself',
      'warn recovering: shards 0, 2 are read back and not drained yet → ' +
        'look again: it takes seconds. If it stays so, read the relays’ logs',
    ]);
  });

  it.each([
    [59, []],
    [60, ['warn']],
    [600, ['warn']],
    [601, ['fail']],
  ])('whose oldest event has waited for %d s: %s', (oldestAge, levels) => {
    const lines = told({ backlog: { pending: 3, oldestAge } });
    expect(lines.map((line) => line.split(' ')[0])).toEqual(levels);
  });

  it('that are late for more than ten minutes are to be mended, and it says how', () => {
    expect(told({ backlog: { pending: 3, oldestAge: 3_600 } })).toEqual([
      'fail backlog: 3 PENDING, the oldest for 1 h 0 min → npx genesis shards says what stands still and why, npx genesis outbox list ' +
        'which events wait; what to do is in docs/operations/alerts/GenesisEventsDelayed.md',
    ]);
  });

  it('that do not run are late for that reason', () => {
    const lines = told({ members: [], shards: [shard(0)], backlog: { pending: 3, oldestAge: 3_600 } });
    expect(lines.map((line) => line.split(':')[0])).toEqual(['fail alive']);
  });
});
