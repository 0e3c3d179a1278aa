import { setTimeout as delay } from 'node:timers/promises';
import type { KafkaConfig } from '../config.ts';
import { ensureTopic, TopicUnavailable, type TopicLimits, type TopicState } from '../kafka/topic.ts';
import type { TopicSettings } from '../kafka/topic-settings.ts';
import type { Relay } from '../relay/relay.ts';
import type { Service } from '../service.ts';
import type { Parts } from './parts.ts';

/** Milliseconds that the first look at the topic may take: the API, if it is in this process, starts after it. */
const FIRST_LOOK = 5_000;
/** Milliseconds that each later look may take, and between two. */
const LOOK = 20_000;
const LOOK_PAUSE = 2_000;
/** Milliseconds that a question in between may take. */
const ASK = 2_000;
/** Records of one partition in one send take at most this share of max.message.bytes: the rest is for what Kafka adds. */
const BATCH_SHARE = 0.85;

type TopicParts = Pick<Parts, 'logger' | 'signal' | 'fail'> & {
  readonly infrastructure: Pick<Parts['infrastructure'], 'kafka'>;
};

/**
 * The relay as a service that first makes sure of the topic. A topic that is wrong is an error of `start`. A broker that is away is
 * none: the relay starts in the background once it is there, and if the topic turns out to be wrong then, the process ends.
 *
 * @param wasPublished Whether events were published to the topic before: then it is not made if it is missing.
 */
export function withTopic(
  relay: Pick<Relay, 'limitSends' | 'start' | 'stop'>,
  parts: TopicParts,
  partitions: number,
  wasPublished?: TopicLimits['wasPublished'],
): Service {
  const { infrastructure, logger, fail } = parts;
  const settings = settingsOf(infrastructure.kafka, partitions);
  const stopping = new AbortController();
  const signal = AbortSignal.any([stopping.signal, parts.signal]);
  let waiting: Promise<void> = Promise.resolve();
  let reason = '';

  /** Whether the relay runs now. */
  const look = async (within: number): Promise<boolean> => {
    const limits = { within, signal, ...(wasPublished === undefined ? {} : { wasPublished }) };
    const topic = await lookOrReason(() => ensureTopic(infrastructure.kafka, settings, limits));
    if (typeof topic !== 'string') {
      for (const warning of topic.warnings) logger.warn(warning);
      if (reason !== '') logger.info('Kafka is there');
      relay.limitSends(sendLimitOf(topic));
      await relay.start();
      return true;
    }
    if (topic !== reason) logger.warn({ error: topic }, 'waiting for Kafka: commands are taken meanwhile');
    reason = topic;
    return false;
  };
  const lookAgain = async () => {
    do await delay(LOOK_PAUSE, undefined, { signal });
    while (!(await look(LOOK)));
  };

  return {
    name: 'relay',
    async start() {
      if (await look(FIRST_LOOK)) return;
      waiting = lookAgain().catch((error: unknown) => {
        if (!signal.aborted) fail(error);
      });
    },
    async stop() {
      stopping.abort();
      await waiting;
      await relay.stop();
    },
  };
}

function settingsOf({ replication = 3 }: KafkaConfig, partitions: number): TopicSettings {
  return { partitions, replicationFactor: replication, minInsyncReplicas: Math.max(1, replication - 1) };
}

function sendLimitOf({ maxMessageBytes }: TopicState): number {
  return Math.floor(maxMessageBytes * BATCH_SHARE);
}

/** What one partition of a send may have now. Makes no topic. @throws TopicUnavailable, and what waiting does not mend */
export async function askSendLimit(kafka: KafkaConfig, partitions: number, signal: AbortSignal): Promise<number> {
  const limits = { within: ASK, signal, wasPublished: async () => true };
  return sendLimitOf(await ensureTopic(kafka, settingsOf(kafka, partitions), limits));
}

/** Why the topic cannot be had yet, in words. @throws what waiting does not mend */
async function lookOrReason(look: () => Promise<TopicState>): Promise<TopicState | string> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof TopicUnavailable) return error.message;
    throw error;
  }
}
