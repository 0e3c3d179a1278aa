import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Evidence } from './evidence.ts';

const TOOL = join(import.meta.dirname, '..', '..', 'local', 'kafka', 'tool.ts');
/** Milliseconds without a record after which the consumer takes the topic for read. */
const QUIET = 10_000;
const PLACE = /Partition:(\d+)\tOffset:(\d+)/u;

/** What Kafka's own consumer saw otherwise than our reader did. */
export interface Disagreement {
  /** Records that it gave, as `partition/offset`. */
  readonly seen: number;
  /** Records that only it saw. */
  readonly missing: number;
  /** Records that only we saw. */
  readonly extra: number;
}

/**
 * Reads the topic once more with Kafka's own console consumer, read_committed, and compares offsets: who reads transactions
 * wrongly must not be the only witness. Takes the consumer's start and ten quiet seconds.
 */
export async function compareWithJava(
  evidence: Evidence,
  { brokers, topic }: { readonly brokers: readonly string[]; readonly topic: string },
): Promise<Disagreement> {
  evidence.seal();
  const ours = evidence.database.prepare('SELECT 1 FROM records WHERE partition = ? AND "offset" = ?');
  const formatter = ['print.partition=true', 'print.offset=true', 'print.value=false', 'print.key=false'];
  const child = spawn(
    process.execPath,
    [
      ...[TOOL, 'console-consumer', '--bootstrap-server', brokers.join(','), '--topic', topic, '--from-beginning'],
      ...['--isolation-level', 'read_committed', '--timeout-ms', String(QUIET)],
      ...formatter.flatMap((property) => ['--formatter-property', property]),
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const ended = once(child, 'close');
  let [seen, missing] = [0, 0];
  for await (const line of createInterface({ input: child.stdout })) {
    const [, partition, offset] = PLACE.exec(line) ?? [];
    if (partition === undefined || offset === undefined) continue;
    seen += 1;
    if (ours.get(Number(partition), Number(offset)) === undefined) missing += 1;
  }
  await ended;
  return { seen, missing, extra: evidence.count('records') - (seen - missing) };
}
