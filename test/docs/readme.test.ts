import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

describe('README.md', () => {
  const text = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

  it('names every sub-command, and none that does not exist', async () => {
    const program = await createProgram({ run: () => Promise.resolve() }, {}, '0');
    const named = [...text.matchAll(/npx genesis ([a-z]+)/gu)].map(([, name]) => name);
    expect(new Set(named)).toEqual(new Set(program.commands.map((command) => command.name())));
  });
});
