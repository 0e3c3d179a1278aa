import { PARTS, type Part, type Sample } from './sampler.ts';
import type { Second } from './timeline.ts';

/** A part of a run. */
export interface Quarter {
  readonly committedPerSecond: number;
  readonly sentPerSecond: number;
  /** Events, on average. */
  readonly backlog: number;
  /** Microseconds of CPU for each event. */
  readonly cpu: Readonly<Record<Part, number>>;
  readonly cpuOfAll: number;
  /** MiB at its end. */
  readonly memory: Sample['memory'];
}

export interface Judgement {
  readonly first: Quarter;
  readonly last: Quarter;
  /** Over the whole seconds of the run, but for the one in which it begins. */
  readonly committedPerSecond: number;
  readonly sentPerSecond: number;
  readonly mostBacklog: number;
  /** Whether the backlog does not grow with time: its quarters say so. */
  readonly bounded: boolean;
}

/** A run has quarters of one second at least, and a second in which it begins. */
export const LEAST_SECONDS = 5;

/** By so much the backlog of the last quarter may exceed that of the first, in seconds of commands: chance is no growth. */
const TOLERANCE = 0.5;

/** @param seconds How long commands were sent, whole seconds, 5 or more. @throws RangeError */
export function judgeRun(timeline: readonly Second[], samples: readonly Sample[], seconds: number): Judgement {
  if (seconds < LEAST_SECONDS) throw new RangeError(`a run has ${LEAST_SECONDS} seconds at least, not ${seconds}`);
  const length = Math.max(1, Math.floor((seconds - 1) / 4));
  const first = quarterOf(timeline, samples, 1, 1 + length);
  const last = quarterOf(timeline, samples, seconds - length, seconds);
  const counted = timeline.slice(1, seconds);
  const committedPerSecond = mean(counted.map(({ committed }) => committed));
  return {
    first,
    last,
    committedPerSecond,
    sentPerSecond: mean(counted.map(({ sent }) => sent)),
    mostBacklog: Math.max(0, ...timeline.map(({ backlog }) => backlog)),
    bounded: last.backlog <= first.backlog + TOLERANCE * committedPerSecond,
  };
}

/** @param to Not included. */
function quarterOf(timeline: readonly Second[], samples: readonly Sample[], from: number, to: number): Quarter {
  const seconds = timeline.slice(from, to);
  const [before, after] = [samples[from], samples[to]];
  if (before === undefined || after === undefined) throw new Error(`no samples of the seconds ${from} to ${to}`);
  const committedPerSecond = mean(seconds.map(({ committed }) => committed));
  // Samples come a little late at times: the CPU time is of so many milliseconds, the events are of whole seconds.
  const events = Math.max(1, committedPerSecond * ((after.at - before.at) / 1_000));
  const of = (part: Part): number => (after.cpu[part] - before.cpu[part]) / events;
  const cpu = { api: of('api'), relay: of('relay'), postgres: of('postgres'), kafka: of('kafka') };
  return {
    committedPerSecond,
    sentPerSecond: mean(seconds.map(({ sent }) => sent)),
    backlog: mean(seconds.map(({ backlog }) => backlog)),
    cpu,
    cpuOfAll: PARTS.reduce((sum, part) => sum + cpu[part], 0),
    memory: after.memory,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
