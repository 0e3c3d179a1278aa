import type { Logger } from 'pino';
import type { Config } from '../config.ts';
import type { EarlierRuns } from '../postgres/earlier-runs.ts';

/** Says loudly what is configured otherwise than the programs before were: it may be meant, and it may have been forgotten. */
export function warnOfChanges(
  { newestTopic, exactlyOnce }: Pick<EarlierRuns, 'newestTopic' | 'exactlyOnce'>,
  { topic, relay }: Pick<Config, 'topic'> & { readonly relay: Pick<Config['relay'], 'delivery'> },
  logger: Pick<Logger, 'warn'>,
): void {
  if (newestTopic !== null && newestTopic !== topic) {
    logger.warn(
      { topic, newest_rows: newestTopic },
      `KAFKA_TOPIC is ${topic}, but the newest rows of event_outbox are for ${newestTopic}: each row goes to the topic that it names, ` +
        'so a session may go on in another topic than it began in. Set KAFKA_TOPIC back, unless the change is meant',
    );
  }
  if (exactlyOnce && relay.delivery === 'at-least-once') {
    logger.warn(
      'RELAY_DELIVERY is at-least-once (the default), but the relays before this one delivered exactly once: duplicates become possible. ' +
        'Set RELAY_DELIVERY=exactly-once, unless the change is meant',
    );
  }
}
