import { InvalidArgumentError, Option, type Command } from 'commander';
import type { EventId, SessionId } from '../genesis/ids.ts';
import type { RowFilter } from '../outbox/operations/ports.ts';
import type { OutboxStatus } from '../outbox/outbox-row.ts';
import { parseText, parseWhole } from './operator.ts';
import { parseSessionId } from './session-option.ts';

/** Which rows of the outbox, as the command line says it. */
export interface FilterOptions {
  readonly id?: readonly number[];
  readonly session?: SessionId;
  readonly event?: EventId;
  readonly status?: OutboxStatus;
  readonly type?: string;
  readonly shard?: number;
  readonly fromId?: number;
  readonly toId?: number;
  /** Seconds. */
  readonly olderThan?: number;
  readonly newerThan?: number;
}

const MAX_IDS = 1_000;
const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

export function addFilterOptions(command: Command, statuses: readonly OutboxStatus[]): Command {
  return command
    .option('--id <ids...>', 'these rows', collectIds)
    .option('--session <id>', 'rows of this session', parseSessionId)
    .option('--event <id>', 'the row of this event', parseEventId)
    .addOption(new Option('--status <status>', 'rows with this status').choices(statuses))
    .option('--type <type>', 'events of this type: Genesis.Session.Submitted', parseText(200))
    .option('--shard <number>', 'rows of this shard', parseWhole(0, 999))
    .option('--from-id <id>', 'rows from this id on', parseId)
    .option('--to-id <id>', 'rows up to this id', parseId)
    .option('--older-than <age>', 'committed at least so long ago: 90s, 15m, 2h, 7d', parseAge)
    .option('--newer-than <age>', 'committed at most so long ago', parseAge);
}

export function filterOf(options: FilterOptions): RowFilter {
  return {
    ids: orNull(options.id),
    sessionId: orNull(options.session),
    eventId: orNull(options.event),
    status: orNull(options.status),
    eventType: orNull(options.type),
    shard: orNull(options.shard),
    fromId: orNull(options.fromId),
    toId: orNull(options.toId),
    minAge: orNull(options.olderThan),
    maxAge: orNull(options.newerThan),
  };
}

/** The filter as the audit trail keeps it: only what was said, in the names of the API. */
export function toldFilter(options: FilterOptions): Readonly<Record<string, unknown>> {
  const told = {
    ids: options.id,
    session_id: options.session,
    event_id: options.event,
    status: options.status,
    event_type: options.type,
    shard: options.shard,
    from_id: options.fromId,
    to_id: options.toId,
    min_age: options.olderThan,
    max_age: options.newerThan,
  };
  return Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined));
}

/** The filter as it was typed, to be typed again. */
export function typedFilter(options: FilterOptions): string {
  const { id, session, event, status, type, shard, fromId, toId, olderThan, newerThan } = options;
  const age = (seconds: number | undefined) => (seconds === undefined ? undefined : `${seconds}s`);
  const told: readonly (readonly [string, string | number | undefined])[] = [
    ['id', id?.join(' ')],
    ['session', session],
    ['event', event],
    ['status', status],
    ['type', type],
    ['shard', shard],
    ['from-id', fromId],
    ['to-id', toId],
    ['older-than', age(olderThan)],
    ['newer-than', age(newerThan)],
  ];
  return told.map(([name, value]) => (value === undefined ? '' : ` --${name} ${value}`)).join('');
}

function orNull<Value>(value: Value | undefined): Value | null {
  return value ?? null;
}

function parseId(value: string): number {
  return parseWhole(1, Number.MAX_SAFE_INTEGER)(value);
}

function collectIds(value: string, before: readonly number[] | undefined): readonly number[] {
  const ids = [...(before ?? []), parseId(value)];
  if (ids.length <= MAX_IDS) return ids;
  throw new InvalidArgumentError(`At most ${MAX_IDS} rows can be named.`);
}

function parseEventId(value: string): EventId {
  if (!/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/iu.test(value)) {
    throw new InvalidArgumentError('It must be the id of an event: a UUID.');
  }
  return value.toLowerCase() as EventId;
}

function parseAge(value: string): number {
  const [, number, unit = 's'] = /^(\d{1,9})([smhd]?)$/u.exec(value) ?? [];
  if (number === undefined) throw new InvalidArgumentError('It must be a number of s, m, h or d: 90s, 15m, 2h, 7d.');
  return Number(number) * (UNITS[unit === '' ? 's' : unit] ?? 1);
}
