import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { VARIABLES } from '../../src/variables.ts';

/** `| \`NAME\` | default | meaning |` */
const ROW = /^\| `(?<name>[A-Z_]+)` \| (?:`(?<fallback>[^`]*)`|—) \| (?<meaning>.+) \|$/gmu;

describe('docs/configuration.md', () => {
  const text = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  const documented = [...text.matchAll(ROW)].map(({ groups }) => [
    groups?.['name'],
    { default: groups?.['fallback'] ?? null, meaning: groups?.['meaning'] },
  ]);

  it('tells every variable that the program reads, with its default and meaning, and no other', () => {
    const read = Object.entries(VARIABLES).map(([name, { default: fallback, meaning }]) => [
      name,
      { default: fallback === '' ? null : fallback, meaning },
    ]);
    expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(read));
  });
});
