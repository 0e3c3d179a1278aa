import type { Needs } from './infrastructure.ts';
import type { Expectations, Violation } from './judge/judge.ts';
import type { World } from './world.ts';

/** What a scenario says of its own run, besides what the judge finds. */
export interface ScenarioEnd {
  /** Milliseconds from healing until the relay had caught up; null where there was nothing to recover from. */
  readonly recovery: number | null;
  readonly expectations?: Expectations;
  /** Broken promises that only the scenario could see. */
  readonly violations?: readonly Violation[];
  /** Figures worth a place in the line of the run. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface Scenario {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  readonly needs: Needs;
  /** Faults while load runs. What it does not start, it does not end: the runner stops the load, waits and judges. */
  readonly run: (world: World) => Promise<ScenarioEnd>;
}

/** A promise that the scenario itself checks. */
export function promise(rule: string, kept: boolean, detail: string): readonly Violation[] {
  return kept ? [] : [{ rule, cases: 1, examples: [detail] }];
}
