import { Admin, ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import { expect } from 'vitest';
import type { KafkaConfig } from '../../src/config.ts';

/** Changes a setting of the topic. */
export async function setTopicConfig({ brokers, topic }: KafkaConfig, name: string, value: string): Promise<void> {
  const admin = new Admin({ clientId: 'test-admin', bootstrapBrokers: [...brokers] });
  const set = IncrementalAlterConfigOperationTypes.SET;
  const configs = [{ name, value, configOperation: set }];
  await admin.incrementalAlterConfigs({
    resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }],
  });
  // A broker hears of it a moment later.
  const asked = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [name] };
  const isSet = async () => {
    const [described] = await admin.describeConfigs({ resources: [asked] });
    return described?.configs.find((config) => config.name === name)?.value === value;
  };
  await expect.poll(isSet, { timeout: 10_000, interval: 20 }).toBe(true);
  await admin.close();
}

/** From now on the topic refuses larger batches. */
export async function limitMessageBytes(kafka: KafkaConfig, bytes: number): Promise<void> {
  await setTopicConfig(kafka, 'max.message.bytes', String(bytes));
}
