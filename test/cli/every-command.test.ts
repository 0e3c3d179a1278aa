import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

/** They run until a signal ends them, or print one thing and nothing else. */
const WITHOUT_JSON: readonly string[] = ['start', 'api', 'relay', 'token'];

const program = await createProgram({ run: () => Promise.reject(new Error('not here')) }, {}, '0.0.0');
const leaves = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

test('every command that reports does so in JSON, too', () => {
  const silent = leaves(program).filter(({ options }) => !options.some(({ long }) => long === '--json'));
  expect(silent.map((command) => command.name())).toEqual(WITHOUT_JSON);
});

test('every command is in the README', () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const missing = program.commands.filter((command) => !readme.includes(`npx genesis ${command.name()}`));
  expect(missing.map((command) => command.name())).toEqual([]);
});
