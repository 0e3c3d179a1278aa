import type { Stage } from './stage.ts';

/** Something that goes wrong, and what has to be said of it. */
export interface Fault {
  /** What happens, for the table. */
  readonly about: string;
  /** Alerts that must fire after `strike`, and be over after `heal`. */
  readonly alerts: readonly string[];
  /** Alerts that must fire only after `heal`, and end by themselves. */
  readonly aftermath?: readonly string[];
  /** Breaks it, and returns. */
  strike(stage: Stage): Promise<void>;
  /** What the runbooks say. */
  heal(stage: Stage): Promise<void>;
}
