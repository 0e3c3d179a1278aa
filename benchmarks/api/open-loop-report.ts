import { mean, median } from '../median.ts';
import { barChart, lineChart, stack } from '../plot.ts';
import type { Offered, ReferenceAtHalf, Round } from './open-loop.ts';
import type { OpenLoopFigures, Percentiles } from './open-loop-load.ts';

/** What is asked for: milliseconds at half of the maximum, and a share of the maximum at twice as much. */
const TARGETS = { p99: 50, goodput: 0.9 };
/** A generator that is busier or later (milliseconds, p99) than this has a part in what it measures. */
const GENERATOR_LIMITS = { busy: 0.8, lag: 10 };

export function tellHalf(half: Offered): void {
  const { latency } = half.figures;
  tellOffered('half of the maximum', half);
  console.log(`  latency from when it was due: ${inWords(latency)}`);
  console.log(`  p99 below ${TARGETS.p99} ms: ${verdict(latency.p99 < TARGETS.p99)}`);
}

/** What of the latency is the machine's and the database's own. */
export function tellReference({ perSecond, seconds, p50, p99, max }: ReferenceAtHalf): void {
  console.log(`\npgbench, textbook, at half of its maximum: ${Math.round(perSecond)}/s for ${seconds} s`);
  console.log(`  latency from when it was due: p50 ${ms(p50)}, p99 ${ms(p99)}, max ${ms(max)}`);
}

export function tellTwice(round: Round): void {
  const { twice } = round;
  const { figures, requestTimeout } = twice;
  tellOffered('twice the maximum', twice);
  console.log(`  accepted ones, from when they were due: ${inWords(figures.accepted)}`);
  console.log(`  refused ones, from when they were due:  ${inWords(figures.refused)}`);
  console.log(
    `  goodput ${Math.round(goodputOf(twice))}/s, ${percent(shareOf(round))} of ${Math.round(maximumOf(round))}/s,` +
      ` the mean of the closed loops before it and after it`,
  );
  const { unanswered = 0, broken = 0 } = figures.answers;
  console.log(
    `  latest answer ${ms(figures.latest)} after its request was sent, deadline ${requestTimeout} ms;` +
      ` late ${figures.late}, without an answer ${unanswered + broken}; none: ${verdict(missedOf(twice) === 0)}`,
  );
  tellMemory(twice);
}

/** What all rounds show together. */
export function tellRounds(rounds: readonly Round[]): void {
  const share = median(rounds.map(shareOf));
  const missed = rounds.reduce((sum, { twice }) => sum + missedOf(twice), 0);
  console.log(
    `\ntwice the maximum, ${rounds.length} rounds: goodput ${rounds.map((round) => percent(shareOf(round))).join(', ')} of the maximum,` +
      ` median ${percent(share)}; at least ${percent(TARGETS.goodput)}: ${verdict(share >= TARGETS.goodput)}`,
  );
  console.log(`  answers that were late or missing ${missed}; none: ${verdict(missed === 0)}`);
}

/** Of the closed loops before and after it: what is accepted at twice the maximum is worth as much as both are. */
export function shareOf(round: Round): number {
  return goodputOf(round.twice) / maximumOf(round);
}

/** The one whose share is in the middle: the better one of two. */
export function middleOf(rounds: readonly Round[]): Round {
  const middle = rounds.toSorted((a, b) => shareOf(a) - shareOf(b))[Math.floor(rounds.length / 2)];
  if (middle === undefined) throw new Error('there are no rounds to choose from; run one at least');
  return middle;
}

function maximumOf({ before, after }: Round): number {
  return mean([before, after]);
}

function missedOf({ figures }: Offered): number {
  const { unanswered = 0, broken = 0 } = figures.answers;
  return figures.late + unanswered + broken;
}

/** Accepted commands per second while the load was on. */
function goodputOf({ figures, seconds }: Offered): number {
  return figures.seconds.slice(0, seconds).reduce((sum, { accepted }) => sum + accepted, 0) / seconds;
}

function tellOffered(name: string, { rate, seconds, connections, figures, cpu, observations }: Offered): void {
  const answers = Object.entries(figures.answers).map(([status, count]) => `${status}: ${count}`);
  console.log(`\n${name}: ${Math.round(rate)}/s for ${seconds} s by ${connections} connections`);
  console.log(`  answers ${answers.join(', ')}`);
  if (figures.problems.length > 0) console.log(`  connections broke: ${figures.problems.join(', ')}`);
  console.log(`  CPU per request: API ${Math.round(cpu.api)} µs, PostgreSQL ${Math.round(cpu.postgres)} µs`);
  const delays = observations.map(({ delay }) => delay);
  console.log(
    `  /livez, which waits for the event loop only: p50 ${ms(median(delays))}, max ${ms(Math.max(0, ...delays))}`,
  );
  tellGenerator(figures, rate);
}

/** How one knows that it is not the bottleneck. */
function tellGenerator({ generator, sent, asked, sentPerSecond }: OpenLoopFigures, rate: number): void {
  const { cpu, busy, lag, waited } = generator;
  const isFree = busy < GENERATOR_LIMITS.busy && lag.p99 < GENERATOR_LIMITS.lag;
  console.log(
    `  load generator: sent ${sent} of ${asked} (${Math.round(sentPerSecond)}/s of ${Math.round(rate)}/s),` +
      ` ${waited} of them waited for a connection; ${percent(cpu)} of a core (${Math.round((cpu * 1e6) / Math.max(1, sentPerSecond))} µs` +
      ` per request), thread busy ${percent(busy)}, late by p99 ${ms(lag.p99)}: ${isFree ? 'not the bottleneck' : 'IT MAY BE THE BOTTLENECK'}`,
  );
}

/** In fifths of the time under load: the first is the heap's growth to its working size. */
function tellMemory({ observations, seconds }: Offered): void {
  const during = observations.filter(({ at }) => at <= seconds).map(({ memory }) => memory);
  const fifth = Math.max(1, Math.floor(during.length / 5));
  const [early, late] = [median(during.slice(fifth, 2 * fifth)), median(during.slice(-fifth))];
  console.log(
    `  memory of the API: ${Math.min(...during)}–${Math.max(...during)} MiB, ${early} MiB in the second fifth of the time and` +
      ` ${late} MiB in the last (${late >= early ? '+' : ''}${percent(early === 0 ? 0 : late / early - 1)})`,
  );
}

export function chartOf(half: Offered, round: Round): string {
  const { twice } = round;
  const each = ({ p50, p90, p99, p999, max }: Percentiles): readonly number[] => [p50, p90, p99, p999, max];
  return stack([
    barChart({
      title: `Latency at half of the maximum: ${Math.round(half.rate)} commands/s`,
      categories: ['p50', 'p90', 'p99', 'p99.9', 'max'],
      y: { label: 'ms from when it was due' },
      series: [{ name: 'all requests', data: each(half.figures.latency) }],
    }),
    answersChart(twice, maximumOf(round)),
    lineChart({
      title: 'Memory of the API at twice the maximum',
      x: { label: 'seconds' },
      y: { label: 'MiB resident' },
      series: [{ name: 'API', data: twice.observations.map(({ at, memory }) => [at, memory] as const) }],
    }),
  ]);
}

function answersChart({ figures, rate, seconds }: Offered, maximum: number): string {
  const kinds = [
    ['accepted', 'accepted'],
    ['refused', 'refused (503, 429)'],
    ['other', 'other or none'],
  ] as const;
  const level = (name: string, value: number) => ({ name, data: [[0, value] as const, [seconds, value] as const] });
  return lineChart({
    title: `Answers at twice the maximum: ${Math.round(rate)} commands/s offered`,
    x: { label: 'seconds' },
    y: { label: 'per second' },
    series: [
      ...kinds.map(([kind, name]) => ({
        name,
        data: figures.seconds.map((counts, second) => [second + 1, counts[kind]] as const),
      })),
      level('offered', rate),
      level('maximum of the closed loop', maximum),
    ],
  });
}

function inWords({ count, p50, p90, p99, p999, max }: Percentiles): string {
  if (count === 0) return 'there are none';
  return `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, p99.9 ${ms(p999)}, max ${ms(max)}`;
}

function verdict(holds: boolean): string {
  return holds ? 'shown' : 'NOT SHOWN';
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}
