import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const README = read('README.md');
const CHINESE = read('README.zh-CN.md');

describe.each([
  ['README.md', README],
  ['README.zh-CN.md', CHINESE],
])('%s', (_name, text) => {
  it('names every sub-command, and none that does not exist', async () => {
    const program = await createProgram({ run: () => Promise.resolve() }, {}, '0');
    const named = [...text.matchAll(/npx genesis ([a-z]+)/gu)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(program.commands.map((command) => command.name())));
  });
});

describe('README.zh-CN.md', () => {
  const found = (pattern: RegExp, text: string): readonly string[] =>
    [...text.matchAll(pattern)].map(([match]) => match);

  it.each([
    ['blocks of code and output, word by word', /^```[\s\S]*?^```$/gmu, 8],
    ['commands of the table', /^\| `npx .*? \|/gmu, 11],
    ['headings', /^#+ /gmu, 5],
    ['figures', /(?<![\w.-])\d+(?:\.\d+)?(?![\w.-])/gu, 15],
  ])('has the same %s as README.md', (_what, pattern, least) => {
    const expected = found(pattern, README);
    expect(expected.length).toBeGreaterThanOrEqual(least);
    expect(found(pattern, CHINESE)).toEqual(expected);
  });

  it('leads to the same pages', () => {
    const pages = (text: string): readonly string[] =>
      found(/\]\([^)]+\)/gu, text)
        .filter((link) => !link.startsWith('](README'))
        .toSorted();
    expect(pages(CHINESE)).toEqual(pages(README));
  });

  it('and README.md lead to each other', () => {
    expect(README).toContain('](README.zh-CN.md)');
    expect(CHINESE).toContain('](README.md)');
  });
});
