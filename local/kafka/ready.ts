import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOPBACK } from '../ports.ts';
import type { Child } from '../processes.ts';
import { readLog } from '../processes.ts';
import { startFailed } from '../server-failure.ts';

const READY_LIMIT = 120_000;
const SLOW_AFTER = 12_000;
const LOOK_EVERY = 50;
const ANSWER_LIMIT = 1_000;

export interface KafkaStarting {
  readonly child: Child;
  readonly port: number;
  readonly log: string;
  /** Where this run begins in the log, bytes. */
  readonly offset: number;
  readonly progress: (line: string) => void;
}

/** Resolves once a client would be served, or rejects with what the broker logged if it ended before. */
export async function untilKafkaReady(starting: KafkaStarting, signal: AbortSignal): Promise<void> {
  const { child, port, log, offset, progress } = starting;
  const since = performance.now();
  let ended = false;
  let told = false;
  void child.exited.then(() => (ended = true));
  while (!(await servesClients(port))) {
    const waited = performance.now() - since;
    if (ended) throw startFailed('Kafka', log, causeIn(readLog(log, offset)));
    if (waited > READY_LIMIT) throw startFailed('Kafka', log, 'it was not ready in time');
    if (waited > SLOW_AFTER && !told) {
      told = true;
      progress('Kafka is still starting …');
    }
    await sleep(LOOK_EVERY, undefined, { signal });
  }
}

/** Errors, if there are any; the last lines are often only the shutdown that followed. */
function causeIn(logged: string): string {
  const lines = logged.split('\n').filter((line) => / (ERROR|FATAL) |^(Caused by|Error|Exception|java\.)/.test(line));
  return lines.length === 0 ? logged : lines.join('\n');
}

/**
 * Asks for the cluster's brokers (Metadata, API key 3, version 4: the first and the last that need no tagged fields
 * and are in every Kafka since 1.0). A port that only listens is not enough: the broker lists itself when its
 * controller lets it serve. https://kafka.apache.org/protocol
 */
function servesClients(port: number): Promise<boolean> {
  const request = Buffer.concat([
    integers16(3, 4),
    integers32(1),
    integers16(0),
    // No topics, and none to be created.
    integers32(0),
    Buffer.from([0]),
  ]);
  return new Promise((resolve) => {
    const socket = connect({ port, host: LOOPBACK, timeout: ANSWER_LIMIT });
    let answer: Buffer = Buffer.alloc(0);
    const end = (served: boolean): void => {
      socket.destroy();
      resolve(served);
    };
    socket.on('connect', () => socket.write(Buffer.concat([integers32(request.length), request])));
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('timeout', () => end(false));
    socket.on('data', (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      // Size, correlation id, throttle time, then the number of brokers.
      if (answer.length >= 16) end(answer.readInt32BE(12) > 0);
    });
  });
}

function integers16(...values: number[]): Buffer {
  const buffer = Buffer.alloc(2 * values.length);
  values.forEach((value, index) => buffer.writeInt16BE(value, 2 * index));
  return buffer;
}

function integers32(...values: number[]): Buffer {
  const buffer = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => buffer.writeInt32BE(value, 4 * index));
  return buffer;
}
