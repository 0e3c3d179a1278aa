import { parseArgs } from 'node:util';
import type { Closing } from '../closing.ts';
import { runClosing } from '../closing.ts';
import { median } from '../median.ts';
import { readOptions, whole } from '../options.ts';
import { pathOfProgram } from '../api/run-program.ts';
import { openServers, type Servers } from '../servers.ts';
import { COMMANDS, measureCommands } from './commands.ts';
import { DRAINS, measureDrains } from './drains.ts';

const USAGE = `npm run bench -- costs [commands] [drain]      default: both
       what each further thing costs: the same work with one setting changed, in turns. Needs wrk for commands
       --rounds N        of all of them (3)
       --seconds N       of each load of commands, 64 connections (5)
       --events N        rows of each backlog (100000)`;

/** One setting of the work, over all rounds. */
export interface Variant {
  readonly name: string;
  /** Per second, of each round. */
  readonly rates: number[];
  /** Microseconds of CPU of all processes for each command or event, of each round. */
  readonly cpu: number[];
}

function parse(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      events: { type: 'string', default: '100000' },
    },
  });
  const unknown = positionals.find((part) => part !== 'commands' && part !== 'drain');
  if (unknown !== undefined) throw new Error(`there is no part '${unknown}'`);
  return {
    parts: positionals.length === 0 ? ['commands', 'drain'] : positionals,
    rounds: whole('rounds', values.rounds),
    seconds: whole('seconds', values.seconds),
    events: whole('events', values.events),
  };
}

/** `npm run bench -- costs …`: a table for people, and one line of JSON per part. */
export async function benchmarkCosts(args: readonly string[]): Promise<void> {
  const options = readOptions(USAGE, args, parse);
  if (options === null) return undefined;
  if (options.parts.includes('commands')) pathOfProgram('wrk');
  return runClosing(async (closing, folder) => {
    await measure(closing, await openServers(closing, folder), options);
  });
}

async function measure(closing: Closing, servers: Servers, options: ReturnType<typeof parse>): Promise<void> {
  const { machine } = servers;
  const report = (part: string, variants: readonly Variant[]): void => {
    const told = tell(part, variants);
    console.log(JSON.stringify({ benchmark: 'costs', part, variants: told, machine }));
  };
  if (options.parts.includes('commands')) {
    report('commands', await measureCommands(closing, servers, { ...options, variants: COMMANDS }));
  }
  if (options.parts.includes('drain')) {
    report('drain', await measureDrains(servers, { ...options, variants: DRAINS }));
  }
}

/** Everything beside the first one, which has no setting changed. */
function tell(part: string, variants: readonly Variant[]): readonly object[] {
  const figures = variants.map(({ name, rates, cpu }) => ({ name, rate: median(rates), cpu: median(cpu) }));
  const [first] = figures;
  if (first === undefined) return [];
  const told = figures.map(({ name, rate, cpu }) => ({
    [part]: name,
    'per second': Math.round(rate),
    'of the first': Number((rate / first.rate).toFixed(2)),
    'CPU µs each': Number(cpu.toFixed(1)),
    'CPU of the first': Number((cpu / first.cpu).toFixed(2)),
  }));
  console.table(told);
  return told;
}
