import { describe, expectTypeOf, it } from 'vitest';
import type { EventPayloads } from '../../src/genesis/events.ts';
import type { CommandId } from '../../src/genesis/ids.ts';
import type { CurrentStage, JsonObject, Stage } from '../../src/genesis/session.ts';

interface Concept {
  readonly title: string;
  readonly summary: string;
  readonly themes?: readonly string[];
}

/** What the compiler holds the code to. The payloads' types come from their schemas: this says that they lose nothing on the way. */
describe('the type of an event’s payload', () => {
  it('knows ids, stages and null, and lets nobody change anything', () => {
    expectTypeOf<EventPayloads['Genesis.Session.Created']>().toEqualTypeOf<{
      readonly title: string | null;
      readonly idea: string | null;
    }>();
    expectTypeOf<EventPayloads['Genesis.Session.Requested']>().toEqualTypeOf<{
      readonly request_id: CommandId;
      readonly stage: Stage;
      readonly theme_preferences: readonly string[];
      readonly style_preferences: readonly string[];
    }>();
    expectTypeOf<EventPayloads['Genesis.Session.Submitted']>().toEqualTypeOf<{
      readonly stage: CurrentStage;
      readonly feedback: string;
      readonly target: string | null;
    }>();
  });

  it('is readonly all the way down', () => {
    expectTypeOf<EventPayloads['Genesis.Session.Proposed']>().toEqualTypeOf<{
      readonly request_id: CommandId;
      readonly concepts: readonly Concept[];
    }>();
  });

  it('keeps the data of a stage as any JSON object', () => {
    expectTypeOf<EventPayloads['Genesis.Session.Confirmed']>().toEqualTypeOf<{
      readonly stage: Stage;
      readonly next_stage: CurrentStage;
      readonly data: JsonObject;
    }>();
  });

  it('tells a member that may be absent from one that may be null', () => {
    expectTypeOf<EventPayloads['Genesis.Session.Updated']>().toEqualTypeOf<{
      readonly title?: string;
      readonly idea?: string;
      readonly status?: 'ABANDONED';
      readonly reason?: string;
    }>();
  });
});
