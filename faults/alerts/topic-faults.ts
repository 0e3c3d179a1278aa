import { setTimeout as sleep } from 'node:timers/promises';
import { Producer, stringSerializers } from '@platformatic/kafka';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import type { Fault } from './fault.ts';
import type { Stage } from './stage.ts';

/** Milliseconds: later than what counts as delivered. */
const TOO_LATE = 65_000;

const paused: Fault = {
  about: 'all shards are paused, and resumed after more than a minute',
  alerts: ['GenesisShardPaused'],
  aftermath: ['GenesisDeliveryObjectiveFastBurn', 'GenesisDeliveryObjectiveSlowBurn'],
  async strike(stage) {
    await stage.genesis('shards', 'pause', '--all', '--reason', 'a fault run');
    await sleep(TOO_LATE);
  },
  heal: (stage) => stage.genesis('shards', 'resume', '--all'),
};

/** Sessions whose next event is too large. */
const LARGE_SESSIONS = 20;
/** Bytes of a batch that the topic still takes: ordinary events are far smaller. */
const SMALL = '24000';

const tooLarge: Fault = {
  about: `max.message.bytes is lowered to ${SMALL}, and ${LARGE_SESSIONS} sessions write more`,
  alerts: ['GenesisEventsFailed', 'GenesisSessionsHeld', 'GenesisRetriesPersist'],
  async strike(stage) {
    await stage.cluster.admin.configureTopic(stage.topic, { 'max.message.bytes': SMALL });
    for (let author = 0; author < LARGE_SESSIONS; author += 1) {
      const session = await stage.clients.createSession(author);
      if (session !== null) await stage.clients.sendFeedback(session, '巨'.repeat(9_500), author);
    }
  },
  async heal(stage) {
    await stage.cluster.admin.configureTopic(stage.topic, { 'max.message.bytes': null });
    await stage.genesis('outbox', 'retry', '--status', 'FAILED', '--yes');
  },
};

/** Repairs what cannot be repaired: from now on only what is new is looked at. */
async function lookFromNowOn(stage: Stage): Promise<void> {
  await stage.stop('reconcile');
  await stage.start('reconcile', { args: ['--since-now'] });
}

/** Writes a copy of some record of the topic that differs. */
async function writeCopy(
  { env, topic }: Stage,
  change: (record: { value: string; headers: Record<string, string> }) => void,
): Promise<void> {
  const brokers = (env['KAFKA_BROKERS'] ?? '').split(',');
  const log = new CommittedRecords({ brokers, topic });
  const producer = new Producer({ clientId: 'faults', bootstrapBrokers: brokers, serializers: stringSerializers });
  try {
    const found = await someRecord(log);
    const record = { value: found.value, headers: Object.fromEntries(found.headers) };
    change(record);
    await producer.send({ messages: [{ topic, key: found.key, partition: found.partition, ...record }], acks: -1 });
  } finally {
    await producer.close(true);
    await log.close();
  }
}

/** One that is not the first of its session: it says which was before. */
async function someRecord(log: CommittedRecords) {
  for (const { partition, first, end } of await log.ranges()) {
    for await (const some of log.read(partition, first, end)) {
      for (const { key, value, headers } of some) {
        if (key !== null && value !== null && headers.has('previous')) return { partition, key, value, headers };
      }
    }
  }
  throw new Error('the topic holds no second event of a session');
}

const altered: Fault = {
  about: 'somebody else writes to the topic: an event with other words',
  alerts: ['GenesisStreamBroken'],
  strike: (stage) =>
    writeCopy(stage, (record) => {
      record.value = record.value.replace('darker', 'forged');
    }),
  heal: lookFromNowOn,
};

const misled: Fault = {
  about: 'somebody else writes to the topic: an event with another header previous',
  alerts: ['GenesisStreamDiffers'],
  strike: (stage) =>
    writeCopy(stage, (record) => {
      record.headers['previous'] = '00000000-0000-7000-8000-000000000000';
    }),
  heal: lookFromNowOn,
};

export const TOPIC_FAULTS: readonly Fault[] = [paused, tooLarge, altered, misled];
