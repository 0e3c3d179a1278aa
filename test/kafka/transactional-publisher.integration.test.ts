import { randomUUID } from 'node:crypto';
import { Connection, describeTransactionsV0 } from '@platformatic/kafka';
import { afterEach, beforeEach, describe, expect, inject, it, test, vi } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import { ensureTopic } from '../../src/kafka/topic.ts';
import {
  TRANSACTION_TIMEOUT,
  TransactionalClient,
  type OpenTransaction,
} from '../../src/kafka/transactional-client.ts';
import { KafkaTransactionalPublisher } from '../../src/kafka/transactional-publisher.ts';
import { PublisherUnavailable, type OutgoingRecord } from '../../src/relay/ports.ts';
import { startTcpProxy } from '../relay/tcp-proxy.ts';
import { untilLed } from './until-led.ts';

let topic: string;
let publisher: KafkaTransactionalPublisher;
let reader: CommittedRecords;
const { signal } = new AbortController();

beforeEach(async () => {
  topic = `transactional-test-${randomUUID()}`;
  await ensureTopic(kafka(), { partitions: 3, replicationFactor: 1, minInsyncReplicas: 1 });
  await untilLed(kafka());
  publisher = new KafkaTransactionalPublisher(kafka(), { deliveryDeadline: 5_000 });
  reader = new CommittedRecords(kafka());
  await publisher.open(topic, signal);
});
afterEach(async () => {
  await publisher.close();
  await reader.close();
});

function kafka() {
  return { brokers: inject('brokers'), topic };
}

function record(shard: number, payload: string | null): OutgoingRecord {
  return { topic, key: `session-${shard}` as SessionId, shard, payload, headers: { sequence: '1' } };
}

const TOO_LARGE = 'x'.repeat(1_100_000);

/** What readers of committed records see, and how far they come. */
async function committed(): Promise<(string | null)[]> {
  const values: (string | null)[] = [];
  for (const { partition, first, end } of await reader.ranges()) {
    for await (const chunk of reader.read(partition, first, end)) values.push(...chunk.map(({ value }) => value));
  }
  return values;
}

async function end(partition: number): Promise<bigint> {
  return (await reader.range(partition)).end;
}

/** Puts something in the way of the transaction that begins next. */
function changeNextTransaction(change: {
  readonly send?: () => Promise<never>;
  readonly abort?: (rollBack: () => Promise<void>) => Promise<void>;
}): void {
  const begin = vi.spyOn(TransactionalClient.prototype, 'begin');
  begin.mockImplementationOnce(async function (this: TransactionalClient): Promise<OpenTransaction> {
    begin.mockRestore();
    const transaction = await this.begin();
    const { send, abort } = change;
    if (send !== undefined) transaction.send = send;
    if (abort !== undefined) {
      const rollBack = transaction.abort.bind(transaction);
      transaction.abort = () => abort(rollBack);
    }
    return transaction;
  });
}

const kinds = (outcomes: readonly { readonly kind: string }[]) => outcomes.map(({ kind }) => kind);

describe('a transaction', () => {
  it('counts only once readers see it: a broker that is being stopped may answer a commit and forget it', async () => {
    const ends = vi.spyOn(CommittedRecords.prototype, 'ends').mockResolvedValue(new Map([[0, 0n]]));
    try {
      const outcomes = await publisher.send([record(0, 'a')]);
      expect(outcomes).toEqual([
        { kind: 'unavailable', scope: 'cluster', error: expect.stringContaining('readers do not see it') as string },
      ]);
    } finally {
      ends.mockRestore();
    }
    // Whoever opens it anew and reads back learns what became of it.
    await publisher.open(topic, signal);
    expect(await committed()).toEqual(['a']);
    expect(kinds(await publisher.send([record(0, 'b')]))).toEqual(['acknowledged']);
  });

  it('is acknowledged as a whole, each record with its place', async () => {
    const first = await publisher.send([record(0, 'a'), record(1, 'b'), record(1, null)]);
    expect(first).toEqual([
      { kind: 'acknowledged', partition: 0, offset: '0' },
      { kind: 'acknowledged', partition: 1, offset: '0' },
      { kind: 'acknowledged', partition: 1, offset: '1' },
    ]);
    // The end of the first one takes an offset, too.
    expect(await publisher.send([record(0, 'c')])).toEqual([{ kind: 'acknowledged', partition: 0, offset: '2' }]);
    await expect.poll(committed).toEqual(['a', 'c', 'b', null]);
  });

  it('does not end before its hook has', async () => {
    const seen: unknown[] = [];
    const beforeCommit = async () => {
      seen.push(await committed(), await end(0));
    };
    expect(kinds(await publisher.send([record(0, 'a')], { beforeCommit }))).toEqual(['acknowledged']);
    expect(seen).toEqual([[], 0n]);
    await expect.poll(committed).toEqual(['a']);
  });

  it('is rolled back when its hook rejects, and holds up no reader', async () => {
    const beforeCommit = () => Promise.reject(new Error('the lease is lost'));
    const outcomes = await publisher.send([record(0, 'a'), record(1, 'b')], { beforeCommit });
    const rolledBack = { kind: 'rolled-back', error: 'the lease is lost' };
    expect(outcomes).toEqual([rolledBack, rolledBack]);
    await expect.poll(() => end(1)).toBe(2n);
    expect(await committed()).toEqual([]);
    expect(await publisher.send([record(0, 'c')])).toMatchObject([{ kind: 'unavailable', scope: 'cluster' }]);
    await publisher.open(topic, signal);
    expect(kinds(await publisher.send([record(0, 'c')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['c']);
  });

  it('is rolled back when one of its partitions is refused, and the next one may follow', async () => {
    for (const round of ['1', '2', '3']) {
      expect(kinds(await publisher.send([record(1, `before ${round}`)]))).toEqual(['acknowledged']);
      const outcomes = await publisher.send([record(0, 'a'), record(1, TOO_LARGE), record(1, 'b'), record(2, 'c')]);
      expect(kinds(outcomes)).toEqual(['rolled-back', 'refused', 'refused', 'rolled-back']);
      expect(outcomes[1]).toMatchObject({ error: expect.stringContaining('MESSAGE_TOO_LARGE') as string });
      expect(publisher.isOpen).toBe(true);
    }
    expect(kinds(await publisher.send([record(0, 'a'), record(1, 'b'), record(2, 'c')]))).toEqual([
      'acknowledged',
      'acknowledged',
      'acknowledged',
    ]);
    await expect.poll(committed).toEqual(['a', 'before 1', 'before 2', 'before 3', 'b', 'c']);
  });

  it('is not gone on with when some of it is unknown', async () => {
    changeNextTransaction({ send: () => Promise.reject(new Error('no answer')) });
    expect(kinds(await publisher.send([record(0, 'a')]))).toEqual(['unavailable']);
    expect(publisher.isOpen).toBe(false);
    expect(await publisher.send([record(0, 'a')])).toMatchObject([{ kind: 'unavailable', scope: 'cluster' }]);
  });

  it('is not gone on with when the broker does not confirm that it is rolled back', async () => {
    changeNextTransaction({ abort: () => Promise.reject(new Error('no answer')) });
    expect(kinds(await publisher.send([record(0, 'a'), record(1, TOO_LARGE)]))).toEqual(['rolled-back', 'refused']);
    expect(publisher.isOpen).toBe(false);
    await publisher.open(topic, signal);
    expect(publisher.isOpen).toBe(true);
    expect(kinds(await publisher.send([record(0, 'b')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['b']);
  });

  it('leaves out the partition of a record that cannot be encoded', async () => {
    const outcomes = await publisher.send([record(0, 'a'), record(1, '\ud800'), record(1, 'after')]);
    expect(kinds(outcomes)).toEqual(['acknowledged', 'refused', 'refused']);
    await expect.poll(committed).toEqual(['a']);
  });

  it('cannot go to a partition that the topic does not have', async () => {
    const outcomes = await publisher.send([record(0, 'a'), record(7, 'b')]);
    expect(outcomes[1]).toEqual({
      ...{ kind: 'unavailable', scope: 'topic' },
      error: `topic ${topic} has 3 partitions, there is no partition 7`,
    });
    expect(await committed()).toEqual([]);
  });

  it('is alone', async () => {
    const first = publisher.send([record(0, 'a')]);
    await expect(publisher.send([record(0, 'b')])).rejects.toThrow('one send at a time');
    expect(kinds(await first)).toEqual(['acknowledged']);
  });
});

describe('two publishers with one transactional id', () => {
  let newer: KafkaTransactionalPublisher;

  beforeEach(() => {
    newer = new KafkaTransactionalPublisher(kafka());
  });
  afterEach(() => newer.close());

  it('the older is told so by its next send', async () => {
    await publisher.send([record(0, 'before')]);
    await newer.open(topic, signal);
    expect(await publisher.send([record(0, 'a'), record(1, 'b')])).toEqual([
      { kind: 'fenced', error: expect.stringMatching(/^(INVALID_PRODUCER_EPOCH|PRODUCER_FENCED): /u) as string },
      { kind: 'fenced', error: expect.stringMatching(/^(INVALID_PRODUCER_EPOCH|PRODUCER_FENCED): /u) as string },
    ]);
    expect(kinds(await newer.send([record(0, 'c')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['before', 'c']);
  });

  it('the older can no longer commit what it has open', async () => {
    const outcomes = await publisher.send([record(0, 'a'), record(1, 'b')], {
      beforeCommit: () => newer.open(topic, signal),
    });
    expect(kinds(outcomes)).toEqual(['fenced', 'fenced']);
    expect(kinds(await newer.send([record(0, 'c')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['c']);
  });

  it('the older does not go on after a refusal, and the newer stays the only one', async () => {
    // Between the broker's rollback and the next epoch.
    changeNextTransaction({
      abort: async (rollBack) => {
        await rollBack();
        await newer.open(topic, signal);
      },
    });
    expect(kinds(await publisher.send([record(0, 'a'), record(1, TOO_LARGE)]))).toEqual(['fenced', 'fenced']);
    expect(publisher.isOpen).toBe(false);
    expect(kinds(await newer.send([record(0, 'b')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['b']);
  });

  it('who fences another id rolls back at once what it has open', async () => {
    await newer.open(`${topic}-newer`, signal);
    const ends: bigint[] = [];
    const outcomes = await publisher.send([record(0, 'a')], {
      beforeCommit: async () => {
        ends.push(await end(0));
        await newer.fence(topic, signal);
        ends.push(await end(0));
      },
    });
    // The record, and the mark that its transaction is rolled back.
    expect(ends).toEqual([0n, 2n]);
    expect(kinds(outcomes)).toEqual(['fenced']);
    expect(kinds(await newer.send([record(0, 'b')]))).toEqual(['acknowledged']);
    await expect.poll(committed).toEqual(['b']);
  });
});

test('the broker knows how long a transaction may stay open', async () => {
  const [host = '', port = ''] = (inject('brokers')[0] ?? '').split(':');
  const connection = new Connection('test-coordinator');
  await connection.connect(host, Number(port));
  const { transactionStates } = await describeTransactionsV0.api.async(connection, [topic]);
  expect(transactionStates).toMatchObject([{ transactionalId: topic, transactionTimeoutMs: TRANSACTION_TIMEOUT }]);
  await connection.close();
});

test('a transactional id that was never used can be fenced', async () => {
  await publisher.fence(`${topic}-never`, signal);
  expect(kinds(await publisher.send([record(0, 'a')]))).toEqual(['acknowledged']);
});

describe('a cluster that is away', () => {
  it('is told when the transactional id cannot be had', async () => {
    const away = new KafkaTransactionalPublisher({ brokers: ['127.0.0.1:1'], topic }, { deliveryDeadline: 200 });
    await expect(away.open(topic, signal)).rejects.toThrow(PublisherUnavailable);
    await expect(away.fence(topic, signal)).rejects.toThrow(/^transactional id .* cannot be had: .*ECONNREFUSED/u);
    expect(await away.send([record(0, 'a')])).toMatchObject([{ kind: 'unavailable' }]);
  });

  it('does not hold up whoever wants to stop', async () => {
    const link = await startTcpProxy('127.0.0.1', 1);
    link.blackHole();
    const away = new KafkaTransactionalPublisher({ brokers: [`127.0.0.1:${link.port}`], topic });
    const stop = new AbortController();
    const opening = away.open(topic, stop.signal);
    stop.abort(new Error('stopped'));
    await expect(opening).rejects.toThrow('stopped');
    const again = away.open(topic, signal);
    await away.close();
    await expect(again).rejects.toThrow('the publisher was closed');
    await link.close();
  });
});
