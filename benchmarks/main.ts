import { LocalInfrastructureError } from '../local/local-infrastructure-error.ts';
import { benchmarkApi } from './api/main.ts';
import { benchmarkCosts } from './costs/main.ts';
import { benchmarkEndToEnd } from './end-to-end/main.ts';
import { benchmarkRelay } from './relay/main.ts';
import { benchmarkSse } from './sse/main.ts';
import { benchmarkTextbook } from './textbook/main.ts';

/** By name: what `npm run bench -- <name>` runs, with the arguments that follow. */
const BENCHMARKS: ReadonlyMap<string, (args: readonly string[]) => Promise<void>> = new Map([
  ['api', benchmarkApi],
  ['relay', benchmarkRelay],
  ['end-to-end', benchmarkEndToEnd],
  ['sse', benchmarkSse],
  ['costs', benchmarkCosts],
  ['textbook', benchmarkTextbook],
]);

// Each child of a benchmark listens for the end.
process.setMaxListeners(0);
const [name = '', ...args] = process.argv.slice(2);
const benchmark = BENCHMARKS.get(name);
if (benchmark === undefined) {
  console.error(
    `usage: npm run bench -- <benchmark> [its options], where <benchmark> is one of ${[...BENCHMARKS.keys()].join(', ')}`,
  );
  process.exitCode = 2;
} else {
  try {
    await benchmark(args);
  } catch (error) {
    if (!(error instanceof LocalInfrastructureError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
