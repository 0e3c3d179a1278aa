import { parseArgs } from 'node:util';
import { pathOfProgram } from '../api/run-program.ts';
import { runClosing } from '../closing.ts';
import { median } from '../median.ts';
import { positive, readOptions, whole } from '../options.ts';
import { openServers, type Servers } from '../servers.ts';
import { openGenesisContender, openTextbookContender, type Contender } from './contenders.ts';
import { clear, measureCommands, measureDrain, measureLatency } from './measure.ts';

const PARTS = ['commands', 'drain', 'latency'] as const;
const USAGE = `npm run bench -- textbook [${PARTS.join('] [')}]      default: all three
       --rounds N        of both services in turn (3)
       --seconds N       of commands, each time (5)
       --connections N   of the commands (64)
       --events N        of the backlog of Genesis; the textbook's has a tenth (50000)
       --rate N          commands per second of the latency (100)
       --latency N       seconds of the latency (20)
The textbook service is benchmarks/textbook/service.ts and relay.ts.`;

/** The textbook's backlog is so much smaller: it would take as much longer. */
const TEXTBOOK_SHARE = 0.1;
/** Seconds that are not counted: code and plans are cold. */
const WARM_UP = 3;

function parse(args: string[]) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
      connections: { type: 'string', default: '64' },
      events: { type: 'string', default: '50000' },
      rate: { type: 'string', default: '100' },
      latency: { type: 'string', default: '20' },
    },
  });
  const unknown = positionals.find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) throw new Error(`there is no part ${unknown}`);
  return {
    parts: PARTS.filter((part) => positionals.length === 0 || positionals.includes(part)),
    rounds: whole('rounds', values.rounds),
    seconds: whole('seconds', values.seconds),
    connections: whole('connections', values.connections),
    events: whole('events', values.events),
    rate: positive('rate', values.rate),
    latency: positive('latency', values.latency),
  };
}

type Options = ReturnType<typeof parse>;

/** `npm run bench -- textbook …`: lines for people, and one line of JSON per figure. */
export async function benchmarkTextbook(args: readonly string[]): Promise<void> {
  const options = readOptions(USAGE, args, parse);
  if (options === null) return;
  pathOfProgram('wrk');
  await runClosing(async (closing, folder) => {
    const servers = await openServers(closing, folder);
    const pair = {
      genesis: await openGenesisContender(closing, servers),
      textbook: await openTextbookContender(closing, servers),
    };
    if (options.parts.includes('commands')) await compareCommands(servers, pair, options);
    for (const contender of Object.values(pair)) await clear(contender);
    if (options.parts.includes('drain')) await compareDrain(servers, pair, options);
    if (options.parts.includes('latency')) await compareLatency(servers, pair, options);
  });
}

interface Pair {
  readonly genesis: Contender;
  readonly textbook: Contender;
}

/** In turns, so that whatever else the machine does hits both. */
async function inTurns<Figures>(
  { genesis, textbook }: Pair,
  rounds: number,
  measure: (contender: Contender) => Promise<Figures>,
) {
  const figures: Record<keyof Pair, Figures[]> = { genesis: [], textbook: [] };
  for (let round = 0; round < rounds; round += 1) {
    figures.genesis.push(await measure(genesis));
    figures.textbook.push(await measure(textbook));
  }
  return figures;
}

async function compareCommands(servers: Servers, pair: Pair, { connections, rounds, seconds }: Options): Promise<void> {
  await inTurns(pair, 1, (contender) => measureCommands(servers, contender, connections, WARM_UP));
  const figures = await inTurns(pair, rounds, async (contender) => {
    const measured = await measureCommands(servers, contender, connections, seconds);
    const { perSecond, p50, p99, cpu, refused } = measured;
    console.log(
      `commands, ${connections} connections, ${contender.name.padEnd(8)} ${count(perSecond).padStart(7)}/s  ` +
        `p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ms  CPU µs each: API ${count(cpu.api)} PostgreSQL ${count(cpu.postgres)}` +
        (refused === 0 ? '' : `  ${refused} refused`),
    );
    return measured;
  });
  const rate = (name: keyof Pair): number => median(figures[name].map(({ perSecond }) => perSecond));
  tell(servers, 'commands', 'commands/s', { genesis: rate('genesis'), textbook: rate('textbook') }, figures);
}

async function compareDrain(servers: Servers, pair: Pair, { events, rounds }: Options): Promise<void> {
  const rates = await inTurns(pair, rounds, async (contender) => {
    const backlog = contender.name === 'genesis' ? events : Math.ceil(events * TEXTBOOK_SHARE);
    const rate = await measureDrain(contender, backlog);
    console.log(
      `drain, ${contender.name.padEnd(8)} ${count(rate).padStart(7)} events/s of a backlog of ${count(backlog)}`,
    );
    return rate;
  });
  const medians = { genesis: median(rates.genesis), textbook: median(rates.textbook) };
  tell(servers, 'drain', 'events/s', medians, rates);
}

async function compareLatency(servers: Servers, pair: Pair, { rate, latency }: Options): Promise<void> {
  const figures = await inTurns(pair, 1, async (contender) => {
    const measured = await measureLatency(contender, rate, latency);
    const { p50, p99, most, missed, refused } = measured;
    console.log(
      `answer → consumer at ${rate}/s, ${contender.name.padEnd(8)} p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} ` +
        `at most ${most.toFixed(0)} ms; ${missed} missed, ${refused} refused`,
    );
    return measured;
  });
  const p50 = (name: keyof Pair): number => median(figures[name].map((summary) => summary.p50));
  tell(servers, 'latency', 'ms, p50', { genesis: p50('genesis'), textbook: p50('textbook') }, figures);
}

/** @param medians Of which the ratio is told. */
function tell(
  { machine }: Servers,
  measure: string,
  unit: string,
  medians: Readonly<Record<keyof Pair, number>>,
  rounds: Readonly<Record<keyof Pair, readonly unknown[]>>,
): void {
  const ratio = medians.genesis / medians.textbook;
  const words = ratio >= 1 ? `${ratio.toFixed(1)} times as many` : `1/${(1 / ratio).toFixed(0)}`;
  console.log(`${measure}: ${figure(medians.genesis)} against ${figure(medians.textbook)} ${unit}: ${words}\n`);
  console.log(JSON.stringify({ benchmark: 'textbook', measure, unit, ...medians, ratio, rounds, machine }));
}

function figure(value: number): string {
  return value < 100 ? value.toFixed(1) : count(value);
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}
