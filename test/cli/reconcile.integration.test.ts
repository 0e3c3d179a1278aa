import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { choosePort } from '../../local/ports.ts';
import { STREAM_FINDING_CODES } from '../../src/operations/stream-findings.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { scrape, total } from '../observability/metrics/series.ts';
import { startTopicRig, type TopicRig, type WrittenRecord } from '../operations/topic-rig.ts';
import { genesis, startGenesis } from './genesis.ts';

// Each of these starts programs: a matter of seconds on a busy machine.
describe('genesis reconcile', { timeout: 180_000 }, () => {
  let rig: TopicRig;
  let written: readonly WrittenRecord[];
  beforeAll(async () => {
    rig = await startTopicRig(inject('brokers'));
    await rig.session(updateSession(), submitFeedback());
    written = await rig.publish();
  });
  afterAll(() => rig.stop());

  const env = () => ({
    DATABASE_URL: rig.url,
    KAFKA_BROKERS: inject('brokers').join(','),
    KAFKA_TOPIC: rig.kafka.topic,
  });

  it('says that topic and database agree', async () => {
    const { code, out, err } = await genesis(env(), 'reconcile');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(/^3 events, 3 of them in the topic; 3 records\n/u);
    expect(out).toMatch(/\ntopic and database agree\n$/u);
    for (const kind of STREAM_FINDING_CODES) expect(out).toMatch(new RegExp(`\\n  ${kind} +0   `, 'u'));
  });

  it('follows what is new, tells it, and ends by a signal', async () => {
    const child = startGenesis(env(), 'reconcile', '--follow', '--interval', '0.2', '--json');
    const lines: object[] = [];
    createInterface(child.stdout).on('line', (line) => lines.push(JSON.parse(line) as object));
    await expect.poll(() => lines, { timeout: 60_000 }).toContainEqual({ events: 3, records: 3, differences: 0 });
    const [again] = await rig.write(written.slice(0, 1));
    await expect
      .poll(() => lines, { timeout: 60_000 })
      .toContainEqual(expect.objectContaining({ code: 'DUPLICATED', offset: String(again?.offset), sequence: 1 }));
    await expect
      .poll(() => lines, { timeout: 60_000 })
      .toContainEqual(
        expect.objectContaining({ checked: 1, lag: 0, differences: expect.objectContaining({ DUPLICATED: 1 }) }),
      );
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([1, null]);
  });

  it('tells its figures to who scrapes, those of its first look, too, and does not forget them', async () => {
    const port = await choosePort({ variable: '--metrics-port', use: 'a test', taken: new Set() });
    const follow = ['--follow', '--interval', '0.2', '--metrics-port', String(port)];
    const child = startGenesis(env(), 'reconcile', ...follow);
    const figure = async (name: string, ...labels: readonly string[]) => {
      const answer = await scrape(`http://127.0.0.1:${port}`).catch(() => null);
      return answer === null ? null : total(answer.series, name, ...labels);
    };
    // The copy that was written before this.
    await expect
      .poll(() => figure('genesis_reconcile_initial_differences', 'kind="DUPLICATED"'), { timeout: 60_000 })
      .toBe(1);
    expect(await figure('genesis_reconcile_initial_differences')).toBe(1);
    await expect.poll(() => figure('genesis_reconcile_last_round_timestamp_seconds')).toBeGreaterThan(1_700_000_000);
    expect(await figure('genesis_reconcile_differences_total')).toBe(0);
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([1, null]);
    const usage = await genesis(env(), 'reconcile', '--metrics-port', String(port));
    expect({ code: usage.code, err: usage.err }).toEqual({
      code: 2,
      err: expect.stringContaining('--metrics-port goes with --follow'),
    });
  });

  it('tells differences by kind, with place and remedy, and what authors wrote in none of them', async () => {
    const [first] = written;
    if (first === undefined) throw new Error('three records are wanted');
    await rig.write([{ ...first, value: '{"secret":1}' }]);
    const text = await genesis(env(), 'reconcile', '--show', '1');
    expect(text.code).toBe(1);
    expect(text.out).toMatch(
      /\nDUPLICATED\n {2}partition \d offset 3 {2}session \S+ version 1 {2}event \S+: the same event stands before it\n {2}→ /u,
    );
    expect(text.out).toMatch(/\nALTERED\n {2}partition \d offset 4 .*: its value has other bytes\n/u);
    expect(text.out).toMatch(/\n2 differences\n$/u);
    expect(text.out).not.toContain('secret');
    const json = await genesis(env(), 'reconcile', '--json');
    expect(JSON.parse(json.out)).toMatchObject({
      events: 3,
      records: 5,
      pending: 0,
      differences: { LOST: 0, DUPLICATED: 1, ALTERED: 1 },
      findings: [
        { code: 'DUPLICATED', partition: first.partition, offset: '3', sequence: 1 },
        { code: 'ALTERED', offset: '4' },
      ],
    });
    const part = await genesis(env(), 'reconcile', '--partition', String((first.partition + 1) % 8), '--json');
    expect(JSON.parse(part.out)).toMatchObject({ events: 0, records: 0 });
  });

  it('fails, and says why, when there is no broker', async () => {
    const { code, err } = await genesis({ ...env(), KAFKA_BROKERS: '127.0.0.1:9' }, 'reconcile');
    expect(code).toBe(1);
    expect(err).toMatch(/^genesis: topic .*: the ends of its partitions are not known: /u);
  });
});
