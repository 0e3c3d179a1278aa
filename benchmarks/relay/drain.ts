import { setTimeout as sleep } from 'node:timers/promises';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { median } from '../median.ts';
import { BacklogWriter } from './backlog.ts';
import { sendOnly } from './send-only.ts';
import { asAdmin, createDatabase, newName, openPlace, type Place, type Stage } from './stage.ts';

export interface DrainPlan {
  readonly modes: readonly DeliveryMode[];
  readonly events: number;
  readonly rounds: number;
}

const SESSIONS = 10_000;
const PAYLOAD = 300;
const STEP = 20_000;

interface Drained {
  /** Events per second, from the first record in the topic to the last row marked. */
  readonly rate: number;
  /** Most memory of the relay, in MiB. */
  readonly memory: number;
  /** CPU of the relay per event, in microseconds. */
  readonly cpu: number;
}

/** A backlog through the relay, in turn with nothing but sends of the same records by the same client. */
export async function measureDrain(stage: Stage, { modes, events, rounds }: DrainPlan): Promise<void> {
  // The outbox names its topic, which each measurement has its own of: the rows are made for one name, and sent to it.
  const template = await createDatabase(stage);
  const writer = await BacklogWriter.open({
    databaseUrl: stage.postgres.url(template),
    topic: 'bench',
    sessions: SESSIONS,
    payload: PAYLOAD,
  });
  while (writer.written < events) await writer.write(Math.min(STEP, events - writer.written));
  await writer.close();
  for (const mode of modes) {
    const [sends, drains]: [number[], Drained[]] = [[], []];
    for (let round = 0; round < rounds; round += 1) {
      sends.push(await inClone(stage, template, mode, (place) => sendOnly(place, mode, events)));
      drains.push(await inClone(stage, template, mode, (place) => drain(place, events)));
      console.log(
        `  ${mode}, round ${round + 1}: sends only ${format(sends.at(-1))}/s, relay ${format(drains.at(-1)?.rate)}/s`,
      );
    }
    tell(stage, mode, sends, drains);
  }
}

function tell(stage: Stage, mode: DeliveryMode, sends: readonly number[], drains: readonly Drained[]): void {
  const [sendRate, relayRate] = [median(sends), median(drains.map(({ rate }) => rate))];
  const memory = Math.max(...drains.map((drained) => drained.memory));
  const cpu = median(drains.map((drained) => drained.cpu));
  const ratio = relayRate / sendRate;
  console.log(
    `drain, ${mode}: ${format(relayRate)} events/s, sends only ${format(sendRate)}/s: ${(ratio * 100).toFixed(0)} %; ` +
      `${cpu.toFixed(1)} µs of the relay's CPU per event, ${memory} MiB`,
  );
  const rounds = drains.map(({ rate }, at) => ({ relay: Math.round(rate), sends: Math.round(sends[at] ?? 0) }));
  stage.report({
    measure: 'drain',
    mode,
    relayRate: Math.round(relayRate),
    sendRate: Math.round(sendRate),
    ratio,
    memory,
    cpu,
    rounds,
  });
}

async function inClone<Result>(
  stage: Stage,
  template: string,
  mode: DeliveryMode,
  use: (place: Place) => Promise<Result>,
): Promise<Result> {
  const database = newName();
  await asAdmin(stage, (admin) => admin.query(`CREATE DATABASE ${database} TEMPLATE ${template}`));
  const place = await openPlace(stage, database, mode);
  try {
    await retarget(place);
    return await use(place);
  } finally {
    await place.close();
  }
}

/** The rows name the topic of the template; what a row says is immutable, except for whoever owns the table. */
async function retarget({ database, kafka }: Place): Promise<void> {
  await database.query('ALTER TABLE event_outbox DISABLE TRIGGER USER');
  await database.query('UPDATE event_outbox SET topic = $1', [kafka.topic]);
  await database.query('ALTER TABLE event_outbox ENABLE TRIGGER USER');
  await database.query('VACUUM (FREEZE, ANALYZE) event_outbox');
  await database.query('CHECKPOINT');
}

async function drain({ database, kafka, relays }: Place, events: number): Promise<Drained> {
  const reader = new CommittedRecords(kafka, { clientId: 'bench' });
  const published = async (): Promise<number> => {
    const ranges = await reader.ranges();
    return ranges.reduce((sum, { end }) => sum + Number(end), 0);
  };
  const relay = relays.start();
  let memory = 0;
  try {
    while ((await published()) === 0) await sleep(2);
    const [began, usedBefore] = [performance.now(), relay.cpu()];
    while ((await published()) < events) {
      memory = Math.max(memory, relay.memory());
      await sleep(50);
    }
    while (await anyPending(database)) await sleep(20);
    const seconds = (performance.now() - began) / 1_000;
    return { rate: events / seconds, memory, cpu: ((relay.cpu() - usedBefore) * 1e6) / events };
  } finally {
    await reader.close();
  }
}

async function anyPending(database: Place['database']): Promise<boolean> {
  const { rows } = await database.query<{ some: boolean }>(
    `SELECT EXISTS (SELECT FROM event_outbox WHERE status = 'PENDING') AS some`,
  );
  return rows[0]?.some === true;
}

function format(rate: number | undefined): string {
  return Math.round(rate ?? 0).toLocaleString('en');
}
