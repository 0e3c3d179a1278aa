import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../until.ts';
import type { Fault } from './fault.ts';
import { readRules } from './scaled-rules.ts';
import type { Stage } from './stage.ts';

/** What became of one alert. Seconds; null: it never came to that. */
export interface AlertRow {
  readonly alert: string;
  readonly severity: string;
  readonly fault: string;
  /** Since the fault, or for an alert of the aftermath since healing began. */
  readonly firedAfter: number | null;
  /** Since healing began. */
  readonly clearedAfter: number | null;
  /** It fires only after the fault is over. */
  readonly aftermath: boolean;
}

/** Milliseconds between looks at the alerts. */
const LOOK = 500;
/** Most milliseconds until an alert fires, or is over. */
const PATIENCE = 150_000;
/** Those with windows of hours. */
const LONG_PATIENCE = 900_000;
/** Milliseconds for which a sound installation must be silent before anything is broken: half an hour of the rules' time. */
const QUIET = 30_000;

/** Every alert of the delivered rules, with its severity. */
function deliveredAlerts(): ReadonlyMap<string, string> {
  const rules = [...readRules().values()].flatMap(({ groups }) => groups.flatMap((group) => group.rules));
  return new Map(
    rules.flatMap(({ alert, labels }) => (alert === undefined ? [] : [[alert, labels?.['severity'] ?? '']])),
  );
}

/** Alerts that none of the faults causes. */
export function unprovoked(faults: readonly Fault[]): readonly string[] {
  const caused = new Set(faults.flatMap(({ alerts, aftermath = [] }) => [...alerts, ...aftermath]));
  return [...deliveredAlerts().keys()].filter((alert) => !caused.has(alert));
}

const since = (began: number): number => Math.round((performance.now() - began) / 100) / 10;

/** Breaks things one after the other and watches the alerts. */
export class AlertRun {
  readonly #stage: Stage;
  readonly #tell: (line: string) => void;
  readonly #severities = deliveredAlerts();
  /** Alerts that may still fire though their fault is over. */
  readonly #lingering = new Set<string>();
  readonly #onRow: (row: AlertRow) => void;

  /** @param onRow Is told each row as soon as it is known. */
  constructor(stage: Stage, tell: (line: string) => void, onRow: (row: AlertRow) => void) {
    this.#stage = stage;
    this.#tell = tell;
    this.#onRow = onRow;
  }

  /** @throws when a sound installation is not silent, or a fault cannot be caused or healed */
  async play(faults: readonly Fault[]): Promise<void> {
    await this.#untilSilent('at the beginning');
    await sleep(QUIET);
    const early = await this.#firing();
    if (early.size > 0) throw new Error(`nothing is broken, and yet these fire: ${[...early].join(', ')}`);
    this.#tell(`nothing is broken, and nothing fires for ${QUIET / 1_000} s`);
    const aftermaths: Promise<void>[] = [];
    for (const fault of faults) aftermaths.push(...(await this.#break(fault)));
    await Promise.all(aftermaths);
  }

  /** Gives what goes on while the next fault begins. */
  async #break(fault: Fault): Promise<readonly Promise<void>[]> {
    const { about, alerts, aftermath = [] } = fault;
    this.#tell(`FAULT ${about}`);
    const began = performance.now();
    const fired = Promise.all(alerts.map(async (alert) => this.#fires(alert, began)));
    await fault.strike(this.#stage);
    const firedAfter = await fired;
    this.#tell('healing');
    const healed = performance.now();
    await fault.heal(this.#stage);
    for (const alert of aftermath) this.#lingering.add(alert);
    const later = aftermath.map((alert) => this.#passes(alert, about, healed));
    const clearedAfter = await Promise.all(alerts.map(async (alert) => this.#ends(alert, healed, PATIENCE)));
    for (const [index, alert] of alerts.entries()) {
      const fired = firedAfter[index] ?? null;
      const cleared = fired === null ? null : (clearedAfter[index] ?? null);
      this.#onRow({ ...this.#about(alert, about), firedAfter: fired, clearedAfter: cleared, aftermath: false });
    }
    await this.#untilSilent(`after: ${about}`);
    return later;
  }

  async #passes(alert: string, fault: string, healed: number): Promise<void> {
    const firedAfter = await this.#fires(alert, healed);
    const clearedAfter = firedAfter === null ? null : await this.#ends(alert, healed, LONG_PATIENCE);
    this.#lingering.delete(alert);
    this.#onRow({ ...this.#about(alert, fault), firedAfter, clearedAfter, aftermath: true });
  }

  #about(alert: string, fault: string) {
    return { alert, severity: this.#severities.get(alert) ?? '', fault };
  }

  async #fires(alert: string, began: number): Promise<number | null> {
    return this.#sees(`${alert} fires`, began, PATIENCE, (firing) => firing.has(alert));
  }

  async #ends(alert: string, healed: number, within: number): Promise<number | null> {
    return this.#sees(`${alert} is over`, healed, within, (firing) => !firing.has(alert));
  }

  /** Seconds since `began` at which it was seen; null: not in time. */
  async #sees(
    what: string,
    began: number,
    within: number,
    fits: (firing: ReadonlySet<string>) => boolean,
  ): Promise<number | null> {
    try {
      await until(what, async () => fits(await this.#firing()), { every: LOOK, within });
    } catch (error) {
      this.#tell(`FAILED ${String(error)}`);
      return null;
    }
    this.#tell(what);
    return since(began);
  }

  /** Nothing is left of what was, before the next. */
  async #untilSilent(when: string): Promise<void> {
    let firing: ReadonlySet<string> = new Set();
    const silent = async () => {
      firing = await this.#firing();
      return [...firing].every((alert) => this.#lingering.has(alert));
    };
    try {
      await until('silence', silent, { every: LOOK, within: PATIENCE });
    } catch (error) {
      throw new Error(`${when} these do not end: ${[...firing].join(', ')}`, { cause: error });
    }
  }

  async #firing(): Promise<ReadonlySet<string>> {
    const alerts = await this.#stage.prometheus.alerts();
    return new Set(alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels['alertname'] ?? ''));
  }
}
