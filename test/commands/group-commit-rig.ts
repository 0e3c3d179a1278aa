import { pino } from 'pino';
import { expect, vi } from 'vitest';
import { GroupCommit, type GroupCommitSettings } from '../../src/commands/group-commit.ts';
import type { CommandOutcome, CommandRequest, CommandStore } from '../../src/commands/ports.ts';
import { MemoryStore, type Moment } from './memory-store.ts';
import { batchSettings, create, NO_SUCH_SESSION } from './requests.ts';

/** What became of a command so far. */
export interface Observed {
  readonly request: CommandRequest;
  state: 'waits' | 'answered' | 'failed';
  outcome: CommandOutcome | null;
  error: unknown;
}

export interface Rig {
  readonly store: MemoryStore;
  readonly commands: GroupCommit;
  /** Lines of the log. */
  readonly log: readonly string[];
  /** How often a commit was told of. */
  hints(): number;
  /** `told` is called when the command is answered or has failed. */
  execute(request: CommandRequest, told?: () => void): Observed;
}

export const LIMITS = {
  batchMax: 64,
  transactionsMax: 2,
  queueMax: 1_000,
  queueTimeout: 2_000,
  transactionTimeout: 2_500,
};

/** A started GroupCommit on a store in memory. Wants fake timers. */
export async function aRig(
  limits: Partial<Omit<GroupCommitSettings, 'newId'>> = {},
  options: { readonly onCommit?: () => void; readonly over?: (store: MemoryStore) => CommandStore } = {},
): Promise<Rig> {
  const store = new MemoryStore();
  const log: string[] = [];
  let hints = 0;
  const onCommit = () => {
    hints += 1;
    options.onCommit?.();
  };
  const logger = pino({}, { write: (line: string) => void log.push(line) });
  const settings = { ...batchSettings(), ...LIMITS, ...limits };
  const commands = new GroupCommit(options.over?.(store) ?? store, settings, logger, onCommit);
  await commands.start();
  return { store, commands, log, hints: () => hints, execute: (request, told) => observe(commands, request, told) };
}

function observe(commands: GroupCommit, request: CommandRequest, told: () => void = () => undefined): Observed {
  const observed: Observed = { request, state: 'waits', outcome: null, error: null };
  const note = (what: Partial<Observed>) => {
    Object.assign(observed, what);
    told();
  };
  commands.execute(request).then(
    (outcome) => note({ state: 'answered', outcome }),
    (error: unknown) => note({ state: 'failed', error }),
  );
  return observed;
}

/** Turns of the event loop that the longest chain of what waits for no timer takes in these tests. */
const TURNS = 10;

/** Lets everything happen that waits for no timer. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) {
    await vi.advanceTimersByTimeAsync(0);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Something that a test holds back until it opens it. */
export interface Gate {
  readonly passed: Promise<void>;
  open(): void;
}

export function aGate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

/** Holds every transaction at `moment`, until its gate is opened. */
export function holdAt(rig: Rig, moment: Moment): (number: number) => Gate {
  const gates = new Map<number, Gate>();
  const gate = (number: number) => {
    const found = gates.get(number) ?? aGate();
    gates.set(number, found);
    return found;
  };
  rig.store.interfere = (at, number) => (at === moment ? gate(number).passed : undefined);
  return gate;
}

/** A rig whose store has so many sessions; the first three are named. */
export async function rigWith(limits: Partial<Omit<GroupCommitSettings, 'newId'>>, sessions: number) {
  const rig = await aRig(limits);
  const creations = Array.from({ length: sessions }, () => rig.execute(create()));
  await settle();
  const [a, b, c] = creations.map(({ request }) => request.sessionId);
  const before = { begun: rig.store.begun, hints: rig.hints() };
  return { rig, a: a ?? NO_SUCH_SESSION, b: b ?? NO_SUCH_SESSION, c: c ?? NO_SUCH_SESSION, before };
}

export const states = (observed: readonly Observed[]) => observed.map(({ state }) => state);
export const overloaded = expect.objectContaining({ name: 'GenesisError', code: 'OVERLOADED' }) as unknown;
export const times = (count: number, request: () => CommandRequest) => Array.from({ length: count }, request);
