import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, encodeCursor, type CursorKind } from '../../src/http/cursor.ts';

const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=+/. %é';
const place: fc.Arbitrary<readonly [CursorKind, string]> = fc.oneof(
  fc.uuid().map((position) => ['sessions', position] as const),
  fc.uuid().map((position) => ['commands', position] as const),
  fc.nat({ max: 999_999_999 }).map((version) => ['events', String(version)] as const),
  fc.integer({ min: 1 }).map((id) => ['actions', String(id)] as const),
  fc.tuple(fc.uuid(), fc.nat()).map(([session, at]) => ['rows', `held:${session}:${at}`] as const),
  fc
    .tuple(fc.constantFrom('ordinary', 'settled', 'session', 'ids'), fc.nat())
    .map(([lane, at]) => ['rows', `${lane}:${at}`] as const),
  fc.constantFrom('held', 'ordinary').map((lane) => ['rows', lane] as const),
);

describe('a cursor', () => {
  test('names its place, in characters that need no escape in a URL', () => {
    fc.assert(
      fc.property(place, ([kind, position]) => {
        const cursor = encodeCursor(kind, position);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor(kind, cursor)).toBe(position);
      }),
    );
  });

  test('is refused by the other lists', () => {
    fc.assert(
      fc.property(
        place,
        fc.constantFrom<CursorKind>('sessions', 'commands', 'events', 'rows', 'actions'),
        ([kind, position], other) => {
          fc.pre(kind !== other);
          expect(() => decodeCursor(other, encodeCursor(kind, position))).toThrow(/cursor is damaged/);
        },
      ),
    );
  });

  test('is refused when any of its characters was changed, lost or added', () => {
    const cursor = encodeCursor('sessions', '01890a5d-ac96-774b-bcce-b302099a8057');
    const damaged = Array.from(cursor).flatMap((character, index) => {
      const [before, after] = [cursor.slice(0, index), cursor.slice(index + 1)];
      const changed = Array.from(CHARACTERS)
        .filter((other) => other !== character)
        .map((other) => before + other + after);
      return [...changed, before + after, `${before}A${character}${after}`];
    });
    for (const text of ['', ...damaged, `${cursor}A`, `${cursor}=`, cursor.toLowerCase()]) {
      if (text === cursor) continue;
      expect(() => decodeCursor('sessions', text), text).toThrow(/cursor is damaged/);
    }
  });

  test.each([
    ['sessions', 'x'],
    ['sessions', "' OR true --"],
    ['commands', '01890A5D-AC96-774B-BCCE-B302099A8057'],
    ['events', '-1'],
    ['events', '99999999999'],
    ['events', '01'],
    ['actions', '0'],
    ['rows', 'held:1'],
    ['rows', 'ordinary:01890a5d-ac96-774b-bcce-b302099a8057:1'],
    ['rows', 'elsewhere:1'],
  ] as const)('is refused when somebody made it up for %s at %s', (kind, position) => {
    expect(() => decodeCursor(kind, encodeCursor(kind, position))).toThrow(/cursor is damaged/);
  });
});
