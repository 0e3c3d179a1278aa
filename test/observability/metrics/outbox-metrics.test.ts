import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { GenesisError } from '../../../src/errors.ts';
import { createMetrics } from '../../../src/observability/metrics/metrics.ts';
import { outboxMetrics, type DatabaseFigures } from '../../../src/observability/metrics/outbox-metrics.ts';
import { seriesOf, total } from './series.ts';
import { NO_BACKLOG } from '../../support/no-backlog.ts';

type Figures = Awaited<ReturnType<DatabaseFigures['outbox']>>;

const FIGURES: Figures = {
  relays: { shards: [], members: [], topicAhead: false },
  backlogs: {
    total: NO_BACKLOG,
    shards: new Map(),
  },
  lastId: 0,
};

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A database whose answers a test changes, and what is told of it. */
function rig(first: () => Promise<Figures>) {
  const lines: { level: number; msg: string; reason?: string }[] = [];
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) });
  const metrics = createMetrics({ version: '1.2.3', service: 'test' });
  const database = { outbox: first, clock: () => Promise.resolve(Date.now()) };
  outboxMetrics(metrics, { clock: () => database.clock(), outbox: () => database.outbox() }, logger);
  /** `genesis_database_up`, `genesis_outbox_figures_up` and `genesis_relay_members` after so many seconds. */
  const scrape = async (seconds = 15) => {
    vi.advanceTimersByTime(seconds * 1_000);
    const series = seriesOf((await metrics.scrape()).text);
    const names = ['genesis_database_up', 'genesis_outbox_figures_up', 'genesis_relay_members'];
    return names.map((name) => total(series, name));
  };
  return {
    database,
    scrape,
    told: () => lines.map(({ level, msg, reason }) => `${level} ${msg} ${reason ?? ''}`.trim()),
  };
}

const MISSING =
  '40 the figures of the outbox are missing: genesis_outbox_…, genesis_shard_… and genesis_relay_members are absent, and alerts that need them silent';
const BACK = '30 the figures of the outbox are there again';
const denied = () => Promise.reject(new Error('permission denied for table relay_members'));

describe('figures of the outbox', () => {
  it('that may not be read are told as missing, though the database answers: once, and when they are there again', async () => {
    const { database, scrape, told } = rig(denied);
    expect(await scrape()).toEqual([1, 0, undefined]);
    expect(await scrape()).toEqual([1, 0, undefined]);
    expect(told()).toEqual([`${MISSING} permission denied for table relay_members`]);
    database.outbox = () => Promise.resolve(FIGURES);
    expect(await scrape()).toEqual([1, 1, 0]);
    expect(await scrape()).toEqual([1, 1, 0]);
    expect(told().slice(1)).toEqual([BACK]);
    database.outbox = denied;
    expect(await scrape()).toEqual([1, 0, undefined]);
    expect(told()).toHaveLength(3);
  });

  it('that are missing for another reason are told again', async () => {
    const { database, scrape, told } = rig(denied);
    await scrape();
    const cause = new Error('canceling statement due to statement timeout');
    database.outbox = () => Promise.reject(new GenesisError('UNAVAILABLE', 'Try again.', {}, { cause }));
    await scrape();
    await scrape();
    expect(told()).toEqual([`${MISSING} permission denied for table relay_members`, `${MISSING} ${cause.message}`]);
  });

  it('that are late are served as they were for a minute, and then told as missing', async () => {
    const { database, scrape, told } = rig(() => Promise.resolve(FIGURES));
    expect(await scrape()).toEqual([1, 1, 0]);
    database.outbox = () => Promise.withResolvers<never>().promise;
    expect(await scrape(59)).toEqual([1, 1, 0]);
    expect(await scrape(2)).toEqual([1, 0, undefined]);
    // A process that has just begun, or a machine that is busy for a moment, is nothing to tell of.
    expect(told()).toEqual([]);
    await scrape();
    await scrape();
    expect(told()).toEqual([`${MISSING} reading them takes longer than 500 ms`]);
  });

  it('that are missing because the database is away are no news', async () => {
    const { database, scrape, told } = rig(() => Promise.resolve(FIGURES));
    expect(await scrape()).toEqual([1, 1, 0]);
    database.clock = () => Promise.reject(new Error('away'));
    database.outbox = () => Promise.reject(new Error('away'));
    expect(await scrape()).toEqual([0, 0, undefined]);
    expect(told()).toEqual([]);
  });
});
