import { EVENT_VERSIONS, type DomainEvent, type EventType } from './events.ts';
import type { EVENT_SCHEMAS } from './event-schemas.ts';
import type { JsonObject } from './session.ts';

/** Translates the payload of one version of an event into the next version's. Pure: it leaves what it is given as it is. */
export type Upcaster = (payload: JsonObject) => JsonObject;

/** What an event was stored as: in any version, even one that this program does not know. */
export interface StoredVersion {
  readonly eventType: string;
  readonly eventVersion: number;
  /** Parsed JSON; by every schema an object. */
  readonly payload: unknown;
}

/** Not `known`: this program is older than the event, which is to be passed on as it is. */
export type Upcast<Event> = ({ readonly known: true } & Event) | { readonly known: false };

/** An event in the version that this program works with. */
export interface CurrentEvent {
  readonly event: DomainEvent;
  /** The version that its payload has now; `eventVersion` is the one it was stored in. */
  readonly version: number;
}

/** What an upcaster works by: the current version of each event, and the steps that lead there. */
export interface VersionHistory {
  readonly versions: Readonly<Record<string, number>>;
  /** By event_type, then by the version that the step starts from. */
  readonly upcasters: Readonly<Record<string, Readonly<Record<number, Upcaster>>>>;
}

/** The versions of an event before the current one: each must have its upcaster. */
type OldVersion<T extends EventType> = Exclude<keyof (typeof EVENT_SCHEMAS)[T], (typeof EVENT_VERSIONS)[T]>;

/** One step per old version: from it to the next. */
const UPCASTERS = {
  'Genesis.Session.Created': {},
  'Genesis.Session.Requested': {},
  'Genesis.Session.Proposed': {},
  'Genesis.Session.Failed': {},
  'Genesis.Session.Submitted': {},
  'Genesis.Session.Confirmed': {},
  'Genesis.Session.Finished': {},
  'Genesis.Session.Updated': {},
} satisfies { readonly [T in EventType]: Readonly<Record<OldVersion<T>, Upcaster>> };

/**
 * A function that brings stored payloads to their current version, step by step: 1 → 2 → … → current.
 *
 * @throws Error if a step is missing or leads past the current version: found while the program starts, not by an old event.
 */
export function createUpcaster({
  versions,
  upcasters,
}: VersionHistory): (stored: StoredVersion) => Upcast<{ readonly version: number; readonly payload: JsonObject }> {
  const chains = new Map(
    Object.entries(versions).map(([type, version]) => [type, chain(type, version, upcasters[type])]),
  );
  return ({ eventType, eventVersion, payload }) => {
    const steps = chains.get(eventType);
    const version = (steps?.length ?? 0) + 1;
    if (steps === undefined || eventVersion < 1 || eventVersion > version) return { known: false };
    const current = steps.slice(eventVersion - 1).reduce((older, step) => step(older), payload as JsonObject);
    return { known: true, version, payload: current };
  };
}

/** The steps of one event: the first leads from version 1 to 2, the last to `current`. */
function chain(type: string, current: number, steps: Readonly<Record<number, Upcaster>> = {}): readonly Upcaster[] {
  const from = Object.keys(steps).map(Number);
  const expected = Array.from({ length: current - 1 }, (_, index) => index + 1);
  if (from.length !== expected.length || expected.some((version) => steps[version] === undefined)) {
    throw new Error(`${type}: upcasters start from [${from.join()}], they must from each of [${expected.join()}]`);
  }
  return expected.flatMap((version) => steps[version] ?? []);
}

const toCurrent = createUpcaster({ versions: EVENT_VERSIONS, upcasters: UPCASTERS });

/**
 * A stored event in its current version: what decides, folds and shows history works with. The relay never upcasts.
 * Not `known`: the event is of a type or version newer than this program.
 */
export function upcast(stored: StoredVersion): Upcast<CurrentEvent> {
  const current = toCurrent(stored);
  if (!current.known) return current;
  // What was stored was valid by its schema, and the chain ends in the current version of a type that it knows.
  const event = { type: stored.eventType, payload: current.payload } as DomainEvent;
  return { known: true, event, version: current.version };
}
