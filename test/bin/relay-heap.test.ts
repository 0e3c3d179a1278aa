import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const SOURCES = join(import.meta.dirname, '../../src/bin');
const MODULE = join(SOURCES, 'relay-heap.ts');

/**
 * The most that the heap came to while rows were replaced as a relay replaces them: what lives for some batches is promoted, and then
 * dies.
 */
const CHURN = `
  const alive = Array.from({ length: 40_000 }, () => ({}));
  let most = 0;
  for (let i = 0; i < 1_500_000; i += 1) {
    alive[i % alive.length] = { id: i, headers: { a: String(i), b: String(-i) }, list: [i, i, i, i, i, i, i, i] };
    if (i % 1_000 === 0) most = Math.max(most, process.memoryUsage().heapUsed);
  }
  console.log(most);
`;

/** What a module writes in a process of its own. */
async function evaluate(text: string, options: readonly string[] = []): Promise<string> {
  const args = [...options, '--input-type=module', '--eval', text];
  // What is measured for coverage lies in the heap as well.
  const env = { ...process.env, NODE_V8_COVERAGE: undefined };
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000, killSignal: 'SIGKILL', env });
  return stdout;
}

async function mostHeap(prepare: string): Promise<number> {
  // Beside threads that collect, how far the heap grows meanwhile is up to the scheduler.
  return Number(await evaluate(prepare + CHURN, ['--single-threaded']));
}

test('garbage is collected long before the heap has grown to a multiple of what is alive', async () => {
  const prepare = `import { keepHeapSmall } from ${JSON.stringify(MODULE)}; keepHeapSmall();`;
  const [usual, small] = [await mostHeap(''), await mostHeap(prepare)];
  // A third; by one of its two flags alone it would be 0.7 or 0.9.
  expect(small).toBeLessThan(0.6 * usual);
});

/** What ends `genesis relay` or `genesis api`: the first flag that is set, or else that somebody else has the port. */
async function endOf(serviceType: string): Promise<string> {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const env = {
    HOST: '127.0.0.1',
    PORT: String((taken.address() as AddressInfo).port),
    // Nobody is there.
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    KAFKA_BROKERS: '127.0.0.1:1',
  };
  try {
    return await evaluate(`
      import v8 from 'node:v8';
      import { syncBuiltinESMExports } from 'node:module';
      v8.setFlagsFromString = (flag) => { throw new Error(flag); };
      syncBuiltinESMExports();
      const { run } = await import(${JSON.stringify(join(SOURCES, 'run.ts'))});
      await run(${JSON.stringify(serviceType)}, ${JSON.stringify(env)}).catch(({ message }) => console.log(message));
    `);
  } finally {
    taken.close();
  }
}

test('a process that only relays keeps its heap small before it does anything else; one with an API does not', async () => {
  expect(await endOf('message-relay')).toMatch(/^--semi-space-growth-factor/u);
  expect(await endOf('api-gateway')).toMatch(/^port \d+ of 127\.0\.0\.1 is in use/u);
  expect(await endOf('all')).toMatch(/^port \d+ of 127\.0\.0\.1 is in use/u);
});
