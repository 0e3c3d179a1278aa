import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const MODULE = join(import.meta.dirname, '../../src/bin/relay-heap.ts');

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

async function mostHeap(prepare: string): Promise<number> {
  // Beside threads that collect, how far the heap grows meanwhile is up to the scheduler.
  const options = ['--single-threaded', '--input-type=module', '--eval', prepare + CHURN];
  const { stdout } = await promisify(execFile)(process.execPath, options);
  return Number(stdout);
}

test('garbage is collected long before the heap has grown to a multiple of what is alive', async () => {
  const prepare = `import { keepHeapSmall } from ${JSON.stringify(MODULE)}; keepHeapSmall();`;
  const [usual, small] = [await mostHeap(''), await mostHeap(prepare)];
  expect(small).toBeLessThan(0.75 * usual);
});
