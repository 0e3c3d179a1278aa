import { pino } from 'pino';
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest';
import { withTopic } from '../../src/bin/with-topic.ts';
import { KafkaPublisher } from '../../src/kafka/publisher.ts';
import { TopicError } from '../../src/kafka/topic.ts';
import type { Service } from '../../src/service.ts';
import { limitMessageBytes } from '../kafka/limit-message-bytes.ts';
import { createRelayRig, sessions, upTo, versionsBySession, type RelayRig } from '../relay/relay-rig.ts';
import { startTcpProxy, type TcpProxy } from '../relay/tcp-proxy.ts';

const PATIENCE = { timeout: 25_000, interval: 10 };
const PARTITIONS = 8;
let rig: RelayRig;
let link: TcpProxy;
let failures: unknown[];
let lines: string[];

beforeEach(async () => {
  rig = await createRelayRig(inject('brokers'));
  const [host = '', port = ''] = String(rig.kafka.brokers[0]).split(':');
  link = await startTcpProxy(host, Number(port));
  failures = [];
  lines = [];
});

afterEach(async () => {
  await rig.close();
  await link.close();
});

/** The relay of the rig, which looks at its topic by way of the link. */
function relayWithTopic(partitions: number): Service {
  return withTopic(
    rig.relay(),
    {
      infrastructure: { kafka: { ...rig.kafka, brokers: [`127.0.0.1:${link.port}`], replication: 1 } },
      logger: pino({ base: null }, { write: (line: string) => void lines.push(line) }),
      signal: new AbortController().signal,
      fail: (error) => failures.push(error),
    },
    partitions,
  );
}

test('a broker that comes later starts the relay, with batches of the size that its topic takes', async () => {
  await limitMessageBytes(rig.kafka, 20_000);
  const send = vi.spyOn(KafkaPublisher.prototype, 'send');
  const [session = ''] = sessions(1);
  await rig.insert(upTo(40).map((sequence) => ({ session, sequence, payload: 'x'.repeat(3_000) })));
  link.blackHole();
  const relay = relayWithTopic(PARTITIONS);
  await relay.start();
  expect(lines.join('')).toContain('waiting for Kafka');
  link.heal();
  await vi.waitFor(async () => expect(await rig.statuses()).toEqual({ SENT: 40 }), PATIENCE);
  await relay.stop();
  const outcomes = await Promise.all(send.mock.results.map(({ value }) => value as ReturnType<KafkaPublisher['send']>));
  expect(new Set(outcomes.flat().map(({ kind }) => kind))).toEqual(new Set(['acknowledged']));
  expect(versionsBySession(await rig.log()).get(session)).toEqual(upTo(40));
  expect(lines.join('')).toContain('Kafka is there');
});

test('a wrong topic is an error of the start, and ends the process if it is found later', async () => {
  await expect(relayWithTopic(PARTITIONS + 1).start()).rejects.toThrow(TopicError);
  link.blackHole();
  const relay = relayWithTopic(PARTITIONS + 1);
  await relay.start();
  link.heal();
  await vi.waitFor(() => expect(failures).toEqual([expect.any(TopicError)]), PATIENCE);
  await relay.stop();
});
