import { expect, test } from 'vitest';
import type { KafkaConfig } from '../../src/config.ts';
import { createCommand, grantCommand, keepCommand } from '../../src/kafka/topic-settings.ts';

const KAFKA: KafkaConfig = { brokers: ['a:1', 'b:2'], topic: 'events' };
const SETTINGS = { partitions: 8, replicationFactor: 3, minInsyncReplicas: 2 };

test('commands for operators name the brokers, and a file where TLS or a login is wanted', () => {
  const commands = (kafka: KafkaConfig) => [
    createCommand(kafka, SETTINGS),
    keepCommand(kafka),
    grantCommand(kafka, ['Read']),
  ];
  for (const command of commands(KAFKA)) expect(command).toMatch(/^kafka-\w+\.sh --bootstrap-server a:1,b:2 --[ac]/u);
  const sasl = { mechanism: 'PLAIN', username: 'u', password: 'hidden' } as const;
  for (const secured of [
    { ...KAFKA, tls: {} },
    { ...KAFKA, sasl },
  ])
    for (const command of commands(secured)) {
      expect(command).toContain(' --bootstrap-server a:1,b:2 --command-config FILE --');
      expect(command).not.toContain('hidden');
    }
});
