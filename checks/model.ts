import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

// Simulates the model of the relay's protocol (docs/spec/README.md): it must hold, and each of its flaws must be found out.

const root = join(import.meta.dirname, '..');
const MODEL = join(root, 'docs/spec/relay.qnt');
const SCENARIOS = join(root, 'docs/spec/relays.qnt');
const QUINT = join(root, 'node_modules/@informalsystems/quint/dist/src/cli.js');

type Mode = 'exactly once' | 'at least once';
/** Where a run begins and what may happen in it: actions of the model. */
type Course = readonly [from: 'init' | 'midSend' | 'midRefusal', step: 'step' | 'handovers' | 'refusals'];

interface Run {
  readonly mode: Mode;
  /** Empty: the protocol as it is, in which nothing may be found. */
  readonly flaw: string;
  readonly course: Course;
  /** Most steps of a trace. */
  readonly steps: number;
  /** Most traces; a flaw that is not found in them is an error. */
  readonly traces: number;
  /** The first trace; those after it follow from it. */
  readonly seed: number;
}

interface Result {
  readonly ok: boolean;
  readonly run: string;
  readonly found: string;
  readonly seconds: number;
}

const ANYTHING: Course = ['init', 'step'];
const HANDOVERS: Course = ['midSend', 'handovers'];
const REFUSALS: Course = ['midRefusal', 'refusals'];
const HOLDS: Course = ['init', 'refusals'];

/** What must be found out, in which mode, and where to look for it; with a trace that shows it, as long as the model is as it is. */
export const FLAWS: readonly (readonly [flaw: string, mode: Mode, course: Course, seed?: number])[] = [
  ['mark before send', 'at least once', ANYTHING],
  ['mark before send', 'exactly once', ANYTHING],
  ['horizon is the last visible id', 'at least once', ANYTHING],
  ['skip-locked', 'at least once', ANYTHING, 0x5855f],
  ['charge without the lease', 'exactly once', REFUSALS, 0x1139da],
  ['settle without the lease', 'at least once', HOLDS, 0x234c87],
  ['skip the fence', 'exactly once', HANDOVERS, 0xcce4],
  ['acquire forgets the predecessor', 'exactly once', HANDOVERS, 0x7a9d6],
  ['release forgets the predecessor', 'exactly once', HANDOVERS, 0x12633e],
  ['release forgets the doubt', 'exactly once', HANDOVERS, 0x397e4],
  ['rebuild without reading back', 'exactly once', HANDOVERS, 0x47fd],
  ['open keeps the rows', 'exactly once', ANYTHING, 0x1d265],
  ['commit before the mark', 'exactly once', ANYTHING, 0x5a4c],
];

/** Those that begin in the middle of something get to the point soon. */
const stepsOf = ([from]: Course): number => (from === 'init' ? 80 : 30);

/** @param traces Most traces of a run without a flaw. */
function allRuns(traces: number, seed: number): Run[] {
  const modes: readonly Mode[] = ['at least once', 'exactly once'];
  const sound = modes.flatMap((mode) =>
    [ANYTHING, HANDOVERS, REFUSALS].map((course) => {
      const steps = stepsOf(course);
      return { mode, flaw: '', course, steps, seed, traces: Math.ceil((traces * 80) / steps) };
    }),
  );
  const flawed = FLAWS.map(([flaw, mode, course, known]) => {
    return { mode, flaw, course, steps: stepsOf(course), seed: known ?? seed, traces: 2_000 };
  });
  return [...sound, ...flawed];
}

async function quint(
  parameters: readonly string[],
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, [QUINT, ...parameters, '--backend', 'typescript'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'genesis-quint') },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { code, output };
}

async function simulate({ mode, flaw, course, steps, traces, seed }: Run, folder: string): Promise<Result> {
  const began = performance.now();
  const constants = `EXACTLY_ONCE = ${mode === 'exactly once'}, FLAW = "${flaw}"`;
  const file = join(mkdtempSync(join(folder, 'run-')), 'check.qnt');
  writeFileSync(file, `${readFileSync(MODEL, 'utf8')}\nmodule check { import relay(${constants}).* }\n`);
  const [from, step] = course;
  const what = ['--main', 'check', '--init', from, '--step', step, '--invariant', 'safe'];
  const bounds = ['--max-steps', `${steps}`, '--max-samples', `${traces}`, '--seed', `${seed}`, '--verbosity', '1'];
  const { code, output } = await quint(['run', file, ...what, ...bounds]);
  const violated = code === 1 && output.includes('[violation]');
  const sound = code === 0 && output.includes('[ok]');
  const reproduced = /--seed=(\S+)/.exec(output)?.[1] ?? '';
  let found = output.trim().slice(0, 2_000);
  if (sound) found = `nothing in ${traces} traces`;
  else if (violated) found = `violation, --seed ${reproduced}`;
  const seconds = (performance.now() - began) / 1_000;
  return { ok: flaw === '' ? sound : violated, run: `${mode}, ${from}/${step}: ${flaw || 'as it is'}`, found, seconds };
}

async function scenarios(main: string): Promise<Result> {
  const began = performance.now();
  const { code, output } = await quint(['test', SCENARIOS, '--main', main, '--max-samples', '5']);
  const passed = /(\d+) passing/.exec(output)?.[1];
  const ok = code === 0 && passed !== undefined;
  const seconds = (performance.now() - began) / 1_000;
  return { ok, run: `${main}: scenarios`, found: ok ? `${passed} passed` : output.trim(), seconds };
}

async function types(): Promise<Result> {
  const began = performance.now();
  const child = spawn(process.execPath, [QUINT, 'typecheck', SCENARIOS], { stdio: ['ignore', 'inherit', 'inherit'] });
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  const ok = code === 0;
  return { ok, run: 'types', found: ok ? 'right' : 'wrong', seconds: (performance.now() - began) / 1_000 };
}

/** As many at once as there are processors; each result is printed as it comes. */
async function inTurn(tasks: (() => Promise<Result>)[]): Promise<Result[]> {
  const results: Result[] = [];
  const worker = async () => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      const result = await task();
      results.push(result);
      const { ok, run, found, seconds } = result;
      console.log(`${ok ? 'ok    ' : 'FAILED'}  ${run.padEnd(72)}  ${seconds.toFixed(1).padStart(6)} s  ${found}`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** @returns how many results were not as expected. */
async function check(traces: number, seed: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'genesis-model-'));
  try {
    const results = await inTurn([
      types,
      () => scenarios('exactlyOnce'),
      () => scenarios('atLeastOnce'),
      ...allRuns(traces, seed).map((run) => () => simulate(run, folder)),
    ]);
    const failed = results.filter(({ ok }) => !ok).length;
    console.log(`${results.length - failed} as expected, ${failed} not`);
    return failed;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { traces: { type: 'string', default: '30' }, seed: { type: 'string', default: '1' } },
  });
  if ((await check(Number(values.traces), Number(values.seed))) > 0) process.exitCode = 1;
}
