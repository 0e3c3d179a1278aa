import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Progress } from '../../examples/concept-agent/progress.ts';

const mine = () => true;

describe('what may be committed', () => {
  it('is nothing before a record was read', () => {
    expect(new Progress().due(mine)).toEqual([]);
  });

  it('is the first record that is not finished, though later ones are', () => {
    const progress = new Progress();
    const [first, second, third] = [5n, 6n, 7n].map((offset) => progress.begin('t', 0, offset));
    third?.();
    second?.();
    expect(progress.due(mine)).toEqual([{ topic: 't', partition: 0, offset: 5n }]);
    first?.();
    expect(progress.due(mine)).toEqual([{ topic: 't', partition: 0, offset: 8n }]);
  });

  it('is told once', () => {
    const progress = new Progress();
    progress.begin('t', 0, 5n)();
    progress.committed(progress.due(mine));
    expect(progress.due(mine)).toEqual([]);
  });

  it('is told for each partition by itself', () => {
    const progress = new Progress();
    progress.begin('t', 0, 5n);
    progress.begin('t', 1, 90n)();
    expect(progress.due(mine)).toEqual([
      { topic: 't', partition: 0, offset: 5n },
      { topic: 't', partition: 1, offset: 91n },
    ]);
  });

  it('leaves out partitions that belong to somebody else now', () => {
    const progress = new Progress();
    progress.begin('t', 0, 5n)();
    progress.begin('t', 1, 5n)();
    expect(progress.due((_topic, partition) => partition === 1)).toEqual([{ topic: 't', partition: 1, offset: 6n }]);
  });

  it('waits for both when a record was read twice', () => {
    const progress = new Progress();
    const first = progress.begin('t', 0, 5n);
    const again = progress.begin('t', 0, 5n);
    again();
    expect(progress.due(mine)).toEqual([{ topic: 't', partition: 0, offset: 5n }]);
    first();
    expect(progress.due(mine)).toEqual([{ topic: 't', partition: 0, offset: 6n }]);
  });

  it('never passes a record that is not finished, in whatever order records are read, repeated and finished', () => {
    const step = fc.record({ reads: fc.nat(3), back: fc.nat(4), finish: fc.nat(20), commit: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const progress = new Progress();
        const open: { offset: bigint; done: () => void }[] = [];
        const finished = new Set<bigint>();
        let next = 0n;
        for (const { reads, back, finish, commit } of steps) {
          if (back === 4) next = next > 3n ? next - 3n : 0n;
          for (let count = 0; count < reads; count += 1, next += 1n) {
            open.push({ offset: next, done: progress.begin('t', 0, next) });
          }
          const [record] = open.splice(finish % Math.max(1, open.length), 1);
          record?.done();
          if (record !== undefined) finished.add(record.offset);
          for (const { offset } of progress.due(mine)) {
            expect(open.every((other) => other.offset >= offset)).toBe(true);
            for (let before = 0n; before < offset; before += 1n) expect(finished.has(before)).toBe(true);
          }
          if (commit) progress.committed(progress.due(mine));
        }
      }),
    );
  });
});
