import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const TOOL = join(import.meta.dirname, '../../local/kafka/tool.ts');
const run = promisify(execFile);

/** The values of a topic's committed records of one partition, as Kafka's own console consumer reads them. */
export async function consumeCommitted(
  brokers: readonly string[],
  topic: string,
  partition: number,
): Promise<readonly string[]> {
  const { stdout } = await run(
    process.execPath,
    [
      ...[TOOL, 'console-consumer', '--bootstrap-server', brokers.join(','), '--topic', topic],
      ...['--partition', String(partition), '--offset', 'earliest', '--timeout-ms', '3000'],
      ...['--isolation-level', 'read_committed'],
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout.split('\n').filter((line) => line !== '');
}
