import { expect, test } from 'vitest';
import { judgeTopic } from '../../src/kafka/judge-topic.ts';

const GOOD = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'retention.bytes': '-1',
  'min.insync.replicas': '2',
  'unclean.leader.election.enable': 'false',
};

function judge(configs: Readonly<Record<string, string>>, { brokers = 3, replicas = 3 } = {}) {
  return judgeTopic({ topic: 'events', brokers, replicas, configs: new Map(Object.entries({ ...GOOD, ...configs })) });
}

test('a topic as we would create it is taken without a word', () => {
  expect(judge({})).toEqual({ losing: [], warnings: [] });
});

test('a topic that never deletes anything needs no retention', () => {
  expect(judge({ 'cleanup.policy': '', 'retention.ms': '1000' }).losing).toEqual([]);
});

test.each([
  [{ 'min.insync.replicas': '1' }, 3, 3, 1],
  [{}, 3, 1, 1],
  [{ 'min.insync.replicas': '1' }, 2, 2, 0],
  [{ 'min.insync.replicas': '1' }, 1, 1, 0],
  [{ 'unclean.leader.election.enable': 'true' }, 1, 1, 1],
])('%o with %i brokers and %i replicas is worth %i warnings', (configs, brokers, replicas, warnings) => {
  expect(judge(configs, { brokers, replicas }).warnings).toHaveLength(warnings);
});
