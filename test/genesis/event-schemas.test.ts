import fc from 'fast-check';
import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { COMMAND_PAYLOADS, type Command, type CommandPayload } from '../../src/genesis/commands.ts';
import { decide, decideCreation, type Decision, type SessionCommand } from '../../src/genesis/decide.ts';
import { ENVELOPE_SCHEMA, EVENT_SCHEMA_LEVEL, EVENT_SCHEMAS, levelOf } from '../../src/genesis/event-schemas.ts';
import { EVENT_VERSIONS, type DomainEvent } from '../../src/genesis/events.ts';
import { encodeEnvelope } from '../../src/outbox/envelope.ts';
import { aFirstEvent, anEvent } from '../outbox/an-event.ts';
import { anyCommand } from './arbitrary-commands.ts';
import { COMMAND, created, reached, REQUEST, requested, sessionAfter } from './given.ts';

/** What a schema admits at its least or at its most: shortest or longest, required members only or all. */
function extreme(schema: TSchema, most: boolean): unknown {
  const keywords = schema as Record<string, unknown>;
  if (Array.isArray(keywords['enum'])) return keywords['enum'][0];
  if (keywords['format'] === 'uuid') return REQUEST;
  if (keywords['type'] === 'string') return '𝄞'.repeat(Number(keywords[most ? 'maxLength' : 'minLength']));
  if (keywords['type'] === 'array') {
    const length = Number(keywords[most ? 'maxItems' : 'minItems'] ?? 0);
    return Array.from({ length }, () => extreme(keywords['items'] as TSchema, most));
  }
  const properties = Object.entries((keywords['properties'] ?? {}) as Record<string, TSchema>);
  const required = (keywords['required'] ?? []) as readonly string[];
  const kept = properties.filter(([name]) => most || required.includes(name));
  return Object.fromEntries(kept.map(([name, property]) => [name, extreme(property, most)]));
}

const SESSIONS = [
  sessionAfter(created()),
  sessionAfter(created(), requested()),
  sessionAfter(...reached('PLOT_OUTLINE')),
];

/** All events that these commands cause in any of those sessions. */
function causedBy(command: Command): readonly DomainEvent[] {
  const decisions: Decision[] =
    command.type === 'CreateSession'
      ? [decideCreation(command.payload)]
      : SESSIONS.map((session) => decide(command, session, COMMAND));
  return decisions.flatMap((decision) =>
    decision.kind === 'accepted'
      ? decision.events.map((caused) => JSON.parse(JSON.stringify(caused.event)) as DomainEvent)
      : [],
  );
}

/** In which version each event is written, compiled. */
const VALIDATORS = new Map(
  Object.entries(EVENT_SCHEMAS).map(([type, versions]) => {
    const version = EVENT_VERSIONS[type as DomainEvent['type']];
    return [type, Compile<TSchema>(versions[version].payload)] as const;
  }),
);

function errorsOf({ type, payload }: DomainEvent): readonly unknown[] {
  return VALIDATORS.get(type)?.Errors(payload) ?? ['no such event'];
}

const types = Object.keys(COMMAND_PAYLOADS) as Command['type'][];

describe('the schema of an event', () => {
  it.each(types.flatMap((type) => [[type, 'least', false] as const, [type, 'most', true] as const]))(
    'admits what %s at its %s causes',
    (type, _, most) => {
      const payload = extreme(COMMAND_PAYLOADS[type], most);
      const variants =
        type === 'ConfirmStage'
          ? SESSIONS.map(({ currentStage }) => ({ ...(payload as object), stage: currentStage, data: { a: [null] } }))
          : [payload];
      const events = variants.flatMap((variant) => causedBy({ type, payload: variant } as Command));
      expect(events).not.toEqual([]);
      expect(events.flatMap(errorsOf)).toEqual([]);
    },
  );

  it('admits whatever is decided', () => {
    fc.assert(
      fc.property(anyCommand(fc.constant(REQUEST)), (command: SessionCommand) => {
        expect(causedBy(command).flatMap(errorsOf)).toEqual([]);
      }),
    );
  });

  it('refuses what is not its own', () => {
    const payload = { title: null, idea: null } satisfies Required<{
      [K in keyof CommandPayload<'CreateSession'>]: null;
    }>;
    const errors = (wrong: object) => errorsOf({ type: 'Genesis.Session.Created', payload: wrong } as DomainEvent);
    expect(errors(payload)).toEqual([]);
    expect(errors({ title: null })).not.toEqual([]);
    expect(errors({ ...payload, more: 1 })).not.toEqual([]);
    expect(errors({ ...payload, title: '' })).not.toEqual([]);
  });
});

describe('the level of an event’s version', () => {
  it('is known for every version that this program writes, and at most the program’s own', () => {
    for (const [type, version] of Object.entries(EVENT_VERSIONS)) {
      expect(levelOf(type, version)).toBeGreaterThanOrEqual(1);
      expect(levelOf(type, version)).toBeLessThanOrEqual(EVENT_SCHEMA_LEVEL);
    }
  });

  it('is not known for what this program does not know', () => {
    expect(levelOf('Genesis.Session.Created', 99)).toBeNull();
    expect(levelOf('Genesis.Session.Revised', 1)).toBeNull();
  });
});

describe('the schema of the envelope', () => {
  const envelope = Compile(ENVELOPE_SCHEMA);
  const value = JSON.parse(encodeEnvelope(anEvent())) as object;

  it('admits the value of every record', () => {
    expect(envelope.Errors(value)).toEqual([]);
    expect(envelope.Errors(JSON.parse(encodeEnvelope(aFirstEvent())))).toEqual([]);
  });

  it('refuses a value with a member less or more', () => {
    const { length } = Object.keys(value).filter((name) => {
      const less = Object.fromEntries(Object.entries(value).filter(([other]) => other !== name));
      return !envelope.Check(less);
    });
    expect(length).toBe(Object.keys(value).length);
    expect(envelope.Check({ ...value, more: 1 })).toBe(false);
  });
});
