import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { KafkaConfig } from '../../src/config.ts';
import { createSessions } from '../api/stage.ts';
import type { Closing } from '../closing.ts';
import { createTopic, openApi, openPool, startRelay, untilRelayHolds } from '../genesis.ts';
import { readAuthors, type Author } from '../poster.ts';
import { BacklogWriter } from '../relay/backlog.ts';
import type { Servers } from '../servers.ts';
import { startTextbook } from './processes.ts';

/** One of the two services: its API runs, its relay while it is asked to. */
export interface Contender {
  readonly name: 'genesis' | 'textbook';
  readonly address: string;
  /** Of the API. */
  readonly pid: number;
  readonly database: pg.Pool;
  readonly kafka: KafkaConfig;
  readonly authors: readonly Author[];
  /** Lines of a session's id and a token of its author. */
  readonly sessionsFile: string;
  /** Rows that wait for the relay, as its commands leave them; rows of other sessions than the authors'. */
  readonly fill: (events: number) => Promise<void>;
  /** Resolves at once, with what ends it. */
  readonly startRelay: () => Promise<() => Promise<void>>;
  /** Resolves when the relay that was started takes what comes. */
  readonly relayIsReady: () => Promise<void>;
}

const SESSIONS = 2_000;
/** Bytes of a payload, and sessions that the rows of a backlog belong to. */
const BACKLOG = { payload: 300, sessions: 1_000 };

export async function openGenesisContender(closing: Closing, servers: Servers): Promise<Contender> {
  const service = await openApi(closing, servers, 'genesis', {});
  const writer = await closing.open(
    () => BacklogWriter.open({ databaseUrl: service.databaseUrl, topic: service.kafka.topic, ...BACKLOG }),
    (opened) => opened.close(),
  );
  const { address, pid } = service.api;
  return {
    name: 'genesis',
    ...{ address, pid, database: service.database, kafka: service.kafka },
    ...(await openSessions(servers, 'genesis', address, service.secret)),
    fill: (events) => writer.write(events),
    async startRelay() {
      const relay = await startRelay(closing, service, 'at-least-once', {});
      return () => relay.stop();
    },
    relayIsReady: () => untilRelayHolds(service.database),
  };
}

const FILL = `
  WITH numbered AS (
    SELECT n, gen_random_uuid() AS event_id, lpad((n % $2)::text, 36, '0') AS key FROM generate_series(1, $1::int) AS n
  )
  INSERT INTO event_outbox (event_id, topic, key, payload, headers)
  SELECT event_id, $3, key,
         jsonb_build_object('event_id', event_id, 'event_type', 'Genesis.Session.Submitted', 'aggregate_id', key, 'aggregate_version', n,
           'correlation_id', event_id, 'occurred_at', now(), 'payload', jsonb_build_object('feedback', repeat('feedback ', $4)),
           'metadata', jsonb_build_object('user_id', 'ada', 'source_service', 'textbook')),
         jsonb_build_object('ce_type', 'Genesis.Session.Submitted')
  FROM numbered ORDER BY n`;
/** Length of the word that a payload repeats. */
const WORD = 9;

export async function openTextbookContender(closing: Closing, servers: Servers): Promise<Contender> {
  const databaseUrl = await servers.postgres.createDatabase('textbook');
  const kafka = await createTopic(servers, 'textbook');
  const database = await openPool(closing, databaseUrl);
  await database.query(readFileSync(join(import.meta.dirname, 'schema.sql'), 'utf8'));
  const secret = randomBytes(32).toString('hex');
  const env = {
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: kafka.brokers.join(','),
    KAFKA_TOPIC: kafka.topic,
    JWT_SECRET: secret,
  };
  const start = (part: 'service' | 'relay') =>
    closing.open(
      () => startTextbook(part, env),
      (running) => running.stop(),
    );
  const { said: address, pid } = await start('service');
  return {
    name: 'textbook',
    ...{ address, pid, database, kafka },
    ...(await openSessions(servers, 'textbook', address, secret)),
    async fill(events) {
      await database.query(FILL, [events, BACKLOG.sessions, kafka.topic, Math.ceil(BACKLOG.payload / WORD)]);
    },
    async startRelay() {
      const relay = await start('relay');
      return () => relay.stop();
    },
    relayIsReady: () => Promise.resolve(),
  };
}

async function openSessions(servers: Servers, name: string, address: string, secret: string) {
  const lines = await createSessions(address, secret, SESSIONS);
  const sessionsFile = join(servers.folder, `${name}-sessions.tsv`);
  writeFileSync(sessionsFile, lines.join('\n'));
  return { sessionsFile, authors: readAuthors(lines) };
}
