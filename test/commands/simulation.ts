import fc from 'fast-check';
import { vi } from 'vitest';
import { TransactionConflict, type Actor, type CommandRequest } from '../../src/commands/ports.ts';
import { GenesisError } from '../../src/errors.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { aimedAt, anyCommand, OUTSTANDING } from '../genesis/arbitrary-commands.ts';
import { aRig, settle, type Observed, type Rig } from './group-commit-rig.ts';
import type { Moment } from './memory-store.ts';
import { AGENT, ANN, BOB, create, NO_SUCH_SESSION, send } from './requests.ts';

/** One command that somebody sends some time. */
interface Sending {
  /** Milliseconds from the beginning. */
  readonly at: number;
  /** Milliseconds after which the sender repeats it, or null. */
  readonly again: number | null;
  readonly actor: Actor;
  readonly command: Command;
  /** Which session: of Ann, of Ann, of Bob, or none. */
  readonly session: number;
  readonly key: string | null;
  readonly expectedVersion: number | null;
}

/** What happens to a transaction. */
interface Fault {
  readonly moment: Moment;
  readonly kind: 'conflict' | 'unavailable' | 'unknown' | 'defect';
}

/** Everything that one run depends on. */
export interface Scenario {
  readonly sendings: readonly Sending[];
  readonly limits: { readonly batchMax: number; readonly transactionsMax: number; readonly queueMax: number };
  /** Milliseconds that the steps of transactions take, in turn. */
  readonly delays: readonly number[];
  /** Faults of transactions, in turn. */
  readonly faults: readonly (Fault | null)[];
  /** When somebody else holds which session, in milliseconds. */
  readonly holds: readonly { readonly session: number; readonly from: number; readonly lasts: number }[];
  readonly chances: readonly number[];
}

const fault: fc.Arbitrary<Fault> = fc.constantFrom<Fault>(
  { moment: 'begin', kind: 'unavailable' },
  { moment: 'lock', kind: 'conflict' },
  { moment: 'write', kind: 'conflict' },
  { moment: 'write', kind: 'defect' },
  { moment: 'commit', kind: 'conflict' },
  { moment: 'commit', kind: 'unavailable' },
  { moment: 'commit', kind: 'unknown' },
  { moment: 'committed', kind: 'unknown' },
);

const creation: fc.Arbitrary<Command> = fc
  .constantFrom('A', 'B')
  .map((title) => ({ type: 'CreateSession', payload: { title } }));

const sending: fc.Arbitrary<Sending> = fc.record({
  at: fc.nat({ max: 40 }),
  again: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.nat({ max: 40 }) }),
  actor: fc.constantFrom(ANN, ANN, ANN, BOB, AGENT),
  command: fc.oneof({ weight: 9, arbitrary: anyCommand(fc.constant(OUTSTANDING)) }, { weight: 1, arbitrary: creation }),
  session: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
  key: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fc.constantFrom('k', 'l') }),
  expectedVersion: fc.oneof(
    { weight: 5, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
  ),
});

export const anyScenario: fc.Arbitrary<Scenario> = fc.record({
  sendings: fc.array(sending, { minLength: 1, maxLength: 30, size: 'max' }),
  limits: fc.record({
    batchMax: fc.integer({ min: 1, max: 8 }),
    transactionsMax: fc.integer({ min: 1, max: 3 }),
    queueMax: fc.integer({ min: 5, max: 50 }),
  }),
  delays: fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 12 }),
  faults: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: fault }), {
    maxLength: 12,
  }),
  holds: fc.array(fc.record({ session: fc.nat({ max: 2 }), from: fc.nat({ max: 40 }), lasts: fc.nat({ max: 120 }) }), {
    maxLength: 2,
  }),
  chances: fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 1, maxLength: 6 }),
});

/** A command that was sent, with the committed version of its session then and when it was told. */
export interface Told extends Observed {
  readonly versionBefore: number;
  versionAfter: number;
}

export interface Run {
  readonly rig: Rig;
  readonly told: readonly Told[];
}

/** Milliseconds that a command may wait for a transaction. */
const QUEUE_TIMEOUT = 60;
/** Milliseconds after which everybody has been told: the last sending, its queue, one slow transaction for each batch-mate. */
const LONG_ENOUGH = 2_000;

/** Plays a scenario to its end, on fake timers: the same scenario always plays the same. */
export async function play(scenario: Scenario): Promise<Run> {
  const rig = await aRig({ ...scenario.limits, queueTimeout: QUEUE_TIMEOUT });
  const creations = [ANN, ANN, BOB].map((actor) => rig.execute(create({ actor })));
  await settle();
  const sessions = creations.map(({ request }) => request.sessionId);
  const told: Told[] = [];
  rig.store.interfere = interference(scenario, rig.store.begun);
  let chance = 0;
  const random = vi.spyOn(Math, 'random').mockImplementation(() => {
    chance += 1;
    return scenario.chances[chance % scenario.chances.length] ?? 0;
  });
  for (const { session, from, lasts } of scenario.holds) holdLater(rig, sessions[session], from, lasts);
  for (const planned of scenario.sendings) {
    const times = [planned.at, ...(planned.again === null ? [] : [planned.at + planned.again])];
    for (const at of times) setTimeout(() => told.push(tell(rig, toRequest(rig, sessions, planned))), at);
  }
  await vi.advanceTimersByTimeAsync(LONG_ENOUGH);
  await rig.commands.stop();
  random.mockRestore();
  return { rig, told };
}

function interference({ delays, faults }: Scenario, begun: number) {
  let step = 0;
  return async (moment: Moment, number: number): Promise<void> => {
    step += 1;
    const delay = delays[step % delays.length] ?? 0;
    if (delay > 0) await after(delay);
    const fault = faults[number - begun - 1];
    if (fault?.moment === moment) throw toError(fault);
  };
}

function after(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, milliseconds);
  return promise;
}

function toError({ kind }: Fault): Error {
  if (kind === 'conflict') return new TransactionConflict('deadlock');
  if (kind === 'defect') return new Error('a defect');
  return new GenesisError(kind === 'unknown' ? 'OUTCOME_UNKNOWN' : 'UNAVAILABLE', kind);
}

function holdLater(rig: Rig, session: SessionId | undefined, from: number, lasts: number): void {
  if (session === undefined) return;
  setTimeout(() => {
    // Nobody takes a lock that a transaction has.
    if (!rig.store.isLocked(session)) setTimeout(rig.store.hold(session), lasts);
  }, from);
}

function toRequest(rig: Rig, sessions: readonly SessionId[], planned: Sending): CommandRequest {
  const { actor, command, key, expectedVersion } = planned;
  const idempotencyKey = key === null ? null : { key, fingerprint: JSON.stringify([command, expectedVersion]) };
  if (command.type === 'CreateSession') return create({ actor, idempotencyKey }, command.payload);
  const id = sessions[planned.session] ?? NO_SUCH_SESSION;
  const outstanding = rig.store.tables.session(id)?.outstandingRequest?.requestId ?? null;
  return send(aimedAt(outstanding, command), id, { actor, idempotencyKey, expectedVersion });
}

function tell(rig: Rig, request: CommandRequest): Told {
  const version = () => rig.store.tables.sessions.get(request.sessionId)?.version ?? 0;
  const before = version();
  const observed = rig.execute(request, () => {
    told.versionAfter = version();
  });
  const told: Told = Object.assign(observed, { versionBefore: before, versionAfter: before });
  return told;
}
