import { setTimeout as sleep } from 'node:timers/promises';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import type { DebeziumPeer } from '../debezium/peer.ts';
import { cpuOfFamily } from '../api/cpu.ts';
import { DEBEZIUM_VERSION } from '../debezium/runtime.ts';
import { median } from '../median.ts';
import { BacklogWriter } from './backlog.ts';
import { sendOnly, sendPlainly } from './send-only.ts';
import { asAdmin, createDatabase, newName, openPlace, type Place, type PlaceOptions, type Stage } from './stage.ts';
import { watchDrain, type Drained } from './watch-drain.ts';

export interface DrainPlan {
  readonly modes: readonly DeliveryMode[];
  readonly events: number;
  readonly rounds: number;
  /** What the same backlog is given to in each round besides; null: nothing. */
  readonly peer: DebeziumPeer | null;
}

const SESSIONS = 10_000;
const PAYLOAD = 300;
const STEP = 20_000;

/** Of each round. */
interface Figures {
  readonly sends: number[];
  /** By the Kafka client as it comes; at least once only. */
  readonly plain: number[];
  readonly drains: Drained[];
  readonly peers: Drained[];
}

/** A backlog through the relay, in turn with nothing but sends of the same records by the same client. */
export async function measureDrain(stage: Stage, { modes, events, rounds, peer }: DrainPlan): Promise<void> {
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
  await peer?.keep(template);
  for (const mode of modes) {
    const figures: Figures = { sends: [], plain: [], drains: [], peers: [] };
    for (let round = 0; round < rounds; round += 1) {
      figures.sends.push(await inClone(stage, template, mode, (place) => sendOnly(place, mode, events)));
      if (mode === 'at-least-once') {
        figures.plain.push(await inClone(stage, template, mode, (place) => sendPlainly(place, events)));
      }
      figures.drains.push(await inClone(stage, template, mode, (place) => drain(stage, place, events)));
      if (peer !== null) figures.peers.push(await peer.drain(events));
      console.log(
        `  ${mode}, round ${round + 1}: sends only ${format(figures.sends.at(-1))}/s, relay ${format(figures.drains.at(-1)?.rate)}/s` +
          (peer === null ? '' : `, Debezium ${format(figures.peers.at(-1)?.rate)}/s`),
      );
    }
    tell(stage, mode, figures);
  }
}

function tell(stage: Stage, mode: DeliveryMode, { sends, plain, drains, peers }: Figures): void {
  const [sendRate, relay] = [median(sends), summarize(drains)];
  const ratio = relay.rate / sendRate;
  const ofPlain = plain.length === 0 ? {} : tellPlain(relay.rate, median(plain));
  console.log(
    `drain, ${mode}: ${format(relay.rate)} events/s, sends only ${format(sendRate)}/s: ${(ratio * 100).toFixed(0)} %; ` +
      `${relay.cpu.toFixed(1)} µs of the relay's CPU per event, ${relay.memory} MiB`,
  );
  const { rate: relayRate, memory, cpu } = relay;
  const rounds = drains.map(({ rate }, at) => ({
    relay: Math.round(rate),
    sends: Math.round(sends[at] ?? 0),
    ...(peers[at] === undefined ? {} : { debezium: Math.round(peers[at].rate) }),
  }));
  const beside = peers.length === 0 ? {} : tellPeer(relay, summarize(peers));
  stage.report({
    measure: 'drain',
    mode,
    relayRate,
    sendRate: Math.round(sendRate),
    ratio,
    memory,
    cpu,
    ...ofPlain,
    ...beside,
    rounds,
  });
}

/** The relay's publisher takes less than the client as it comes, which makes the first ratio the harder one. */
function tellPlain(relayRate: number, plainRate: number): object {
  const ratio = relayRate / plainRate;
  console.log(`  sends only by the Kafka client as it comes ${format(plainRate)}/s: ${(ratio * 100).toFixed(0)} %`);
  return { plainSendRate: Math.round(plainRate), plainRatio: ratio };
}

type Summary = Omit<Drained, 'offsets'>;

/** Medians of the rounds, but the most memory of all. */
function summarize(drains: readonly Drained[]): Summary {
  return {
    rate: Math.round(median(drains.map(({ rate }) => rate))),
    laterRate: Math.round(median(drains.map(({ laterRate }) => laterRate))),
    memory: Math.max(...drains.map(({ memory }) => memory)),
    cpu: median(drains.map(({ cpu }) => cpu)),
    laterCpu: median(drains.map(({ laterCpu }) => laterCpu)),
    databaseCpu: median(drains.map(({ databaseCpu }) => databaseCpu)),
  };
}

/** The table for people; answers what goes into the line of JSON. */
function tellPeer(relay: Summary, debezium: Summary): object {
  const ratios: Summary = {
    rate: relay.rate / debezium.rate,
    laterRate: relay.laterRate / debezium.laterRate,
    cpu: relay.cpu / debezium.cpu,
    laterCpu: relay.laterCpu / debezium.laterCpu,
    databaseCpu: relay.databaseCpu / debezium.databaseCpu,
    memory: relay.memory / debezium.memory,
  };
  const row = (of: Summary, digits: number): object => ({
    'events/s': Number(of.rate.toFixed(digits)),
    'events/s, second half': Number(of.laterRate.toFixed(digits)),
    'CPU µs/event': Number(of.cpu.toFixed(1 + digits)),
    'CPU, second half': Number(of.laterCpu.toFixed(1 + digits)),
    'CPU of PostgreSQL': Number(of.databaseCpu.toFixed(1 + digits)),
    MiB: Number(of.memory.toFixed(digits)),
  });
  console.table({
    relay: row(relay, 0),
    [`Debezium ${DEBEZIUM_VERSION}`]: row(debezium, 0),
    'relay / debezium': row(ratios, 2),
  });
  return { relay, debezium: { version: DEBEZIUM_VERSION, ...debezium }, 'relay / debezium': ratios };
}

/** A copy of the template, whose rows go to a topic of its own. */
export async function inClone<Result>(
  stage: Stage,
  template: string,
  mode: DeliveryMode,
  use: (place: Place) => Promise<Result>,
  options: PlaceOptions = {},
): Promise<Result> {
  const database = newName();
  await asAdmin(stage, (admin) => admin.query(`CREATE DATABASE ${database} TEMPLATE ${template}`));
  const place = await openPlace(stage, database, mode, options);
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

/** The whole backlog through one relay. */
export async function drain({ postgres }: Stage, { database, kafka, relays }: Place, events: number): Promise<Drained> {
  const relay = relays.start();
  return watchDrain(kafka, events, {
    cpu: () => relay.cpu(),
    databaseCpu: () => cpuOfFamily(postgres.pid()) / 1e6,
    memory: () => relay.memory(),
    async settled() {
      while (await anyPending(database)) await sleep(20);
    },
  });
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
