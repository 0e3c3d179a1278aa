import { describe, expect, it } from 'vitest';
import { table, type Column } from '../../src/cli/table.ts';

interface Fruit {
  readonly name: string;
  readonly grams: number;
  readonly about: string;
}

const columns: readonly Column<Fruit>[] = [
  { title: 'NAME', text: ({ name }) => name, least: 4 },
  { title: 'G', align: 'right', text: ({ grams }) => String(grams) },
  { title: 'ABOUT', text: ({ about }) => about, least: 6 },
];
const rows: readonly Fruit[] = [
  { name: 'apple', grams: 150, about: 'keeps through the winter' },
  { name: 'watermelon', grams: 9_000, about: 'does not' },
];

describe('a table', () => {
  it('is as wide as what it says, where nothing bounds it', () => {
    expect(table(columns, rows, Infinity)).toBe(
      ['NAME           G  ABOUT', 'apple        150  keeps through the winter', 'watermelon  9000  does not'].join(
        '\n',
      ),
    );
  });

  it('is cut to the width, the widest column first, and says where', () => {
    expect(table(columns, rows, 30)).toBe(
      ['NAME           G  ABOUT', 'apple        150  keeps throu…', 'watermelon  9000  does not'].join('\n'),
    );
    for (let width = 18; width < 50; width += 1) {
      for (const line of table(columns, rows, width).split('\n')) expect(line.length).toBeLessThanOrEqual(width);
    }
  });

  it('never cuts a column that must be whole, nor any below its least', () => {
    const text = table(columns, rows, 1);
    expect(text).toBe(['NAME     G  ABOUT', 'app…   150  keeps…', 'wat…  9000  does …'].join('\n'));
  });

  it('has a line for each row, whatever a broker said', () => {
    const text = table(columns, [{ name: 'a\nb', grams: 1, about: '\u001b[31mred\r\n' }], 80);
    expect(text).toBe(['NAME  G  ABOUT', 'a b   1   [31mred'].join('\n'));
  });

  it('without rows has its titles', () => {
    expect(table(columns, [], 80)).toBe('NAME  G  ABOUT');
  });
});
