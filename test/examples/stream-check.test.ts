import { describe, expect, it } from 'vitest';
import { StreamCheck, type CheckedRecord } from '../../examples/stream-check/stream-check.ts';

/** The event of this number; `previous` is the one before unless said otherwise. */
function event(
  sequence: number,
  { key = 's', id = `e${sequence}`, previous = `e${sequence - 1}` } = {},
): CheckedRecord {
  const headers = new Map([
    ['ce_id', id],
    ['sequence', String(sequence)],
  ]);
  if (sequence > 1) headers.set('previous', previous);
  return { key, headers };
}

function verdicts(records: readonly CheckedRecord[], check = new StreamCheck()): readonly object[] {
  return records.map((record) => check.check(record));
}

const kinds = (records: readonly CheckedRecord[], check?: StreamCheck) =>
  verdicts(records, check).map((verdict) => ('kind' in verdict ? verdict.kind : ''));

describe('a consumer’s check of its stream', () => {
  it('agrees with a session in order, and with several in any mixture', () => {
    expect(kinds([event(1), event(2), event(3)])).toEqual(['ok', 'ok', 'ok']);
    const mixed = [event(1), event(1, { key: 't' }), event(2, { key: 't' }), event(2)];
    expect(kinds(mixed)).toEqual(['ok', 'ok', 'ok', 'ok']);
  });

  it('knows repetitions, of one record and of a whole batch', () => {
    expect(kinds([event(1), event(1), event(2), event(1), event(2), event(3)])).toEqual([
      'ok',
      'duplicate',
      'ok',
      'duplicate',
      'duplicate',
      'ok',
    ]);
  });

  it('finds a gap, and what comes late', () => {
    expect(verdicts([event(1), event(4), event(3), event(3), event(5)])).toEqual([
      { kind: 'ok' },
      { kind: 'gap', from: 2, to: 3 },
      { kind: 'reordered' },
      { kind: 'duplicate' },
      { kind: 'ok' },
    ]);
  });

  it('finds another history: a wrong predecessor, another event in the same place', () => {
    expect(verdicts([event(1), event(2, { previous: 'x' })])).toEqual([
      { kind: 'ok' },
      { kind: 'fork', expected: 'e1', found: 'x' },
    ]);
    expect(verdicts([event(1), event(2), event(2, { id: 'other' })]).at(-1)).toEqual({
      kind: 'fork',
      expected: 'e2',
      found: 'other',
    });
    const claims = { key: 's', headers: new Map([...event(1).headers, ['previous', 'e0']]) };
    expect(kinds([claims])).toEqual(['fork']);
  });

  it('says that it cannot tell, when it joins in the middle', () => {
    expect(kinds([event(7), event(8), event(10)])).toEqual(['unproven', 'ok', 'gap']);
  });

  it('remembers so many sessions and forgets the one it heard of longest ago', () => {
    const check = new StreamCheck(2);
    kinds([event(1), event(1, { key: 't' }), event(2), event(1, { key: 'u' })], check);
    expect(kinds([event(3), event(2, { key: 't' })], check)).toEqual(['ok', 'unproven']);
  });

  it('remembers the last hundred of a large gap', () => {
    expect(kinds([event(1), event(1_000), event(999), event(900), event(899)])).toEqual([
      'ok',
      'gap',
      'reordered',
      'reordered',
      'duplicate',
    ]);
  });

  it.each([
    ['without headers', { key: 's', headers: new Map() }],
    ['without a key', event(1, { key: '' })],
    ['with a number that is none', { key: 's', headers: new Map([...event(1).headers, ['sequence', 'one']]) }],
    ['with number 0', { key: 's', headers: new Map([...event(1).headers, ['sequence', '0']]) }],
  ])('knows a record %s for no event', (_what, record) => {
    expect(kinds([record])).toEqual(['unreadable']);
  });
});
