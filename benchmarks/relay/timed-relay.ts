import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CommittedRecords } from '../../src/kafka/committed-records.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import type { BacklogWriter } from './backlog.ts';
import type { Place } from './stage.ts';

const CHILD = join(import.meta.dirname, 'relay-child.ts');
/** Rows of one statement, and how many the writer may be ahead of the relay. */
const STEP = 2_000;
export const AHEAD = 20_000;

/** A relay that times its claims, and what it has published. */
export interface TimedRelay {
  readonly published: () => Promise<number>;
  /** Writes, never far ahead of the relay, until the writer has written so many; resolves when so many are published. */
  pass(writer: BacklogWriter, rows: number): Promise<void>;
  /** Its claims are in the file then. */
  stop(): Promise<void>;
}

/** @param file Where it writes its claims when it ends: SoakClaim[] as JSON. */
export function startTimedRelay({ databaseUrl, kafka }: Place, delivery: DeliveryMode, file: string): TimedRelay {
  const env = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    KAFKA_BROKERS: kafka.brokers.join(','),
    KAFKA_TOPIC: kafka.topic,
    RELAY_DELIVERY: delivery,
    CLAIMS_FILE: file,
  };
  const child = spawn(process.execPath, [CHILD], { env, stdio: ['pipe', 'inherit', 'inherit'] });
  const ended = once(child, 'exit');
  const reader = new CommittedRecords(kafka, { clientId: 'bench' });
  const published = async (): Promise<number> => (await reader.ranges()).reduce((sum, { end }) => sum + Number(end), 0);
  return {
    published,
    async pass(writer, rows) {
      while (writer.written < rows) {
        await writer.write(Math.min(STEP, rows - writer.written));
        while (writer.written - (await published()) > AHEAD) await sleep(20);
      }
      while ((await published()) < rows) await sleep(50);
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      await reader.close();
    },
  };
}
