import { benchmarkApi } from './api/main.ts';
import { benchmarkRelay } from './relay/main.ts';

/** By name: what `npm run bench -- <name>` runs, with the arguments that follow. */
const BENCHMARKS: ReadonlyMap<string, (args: readonly string[]) => Promise<void>> = new Map([
  ['api', benchmarkApi],
  ['relay', benchmarkRelay],
]);

const [name = '', ...args] = process.argv.slice(2);
const benchmark = BENCHMARKS.get(name);
if (benchmark === undefined) {
  console.error(
    `usage: npm run bench -- <benchmark> [its options], where <benchmark> is one of ${[...BENCHMARKS.keys()].join(', ')}`,
  );
  process.exitCode = 2;
} else {
  await benchmark(args);
}
