import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mutate } from '../../faults/mutate.ts';
import { MUTATIONS } from '../../faults/mutations.ts';
import { SCENARIOS } from '../../faults/scenarios/index.ts';

const ROOT = join(import.meta.dirname, '..', '..');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'genesis-mutate-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A program of one file. */
function program(source: string): string {
  const code = join(folder, 'code');
  for (const part of ['src', 'local', 'migrations', 'schemas', 'node_modules'])
    mkdirSync(join(code, part), { recursive: true });
  writeFileSync(join(code, 'package.json'), '{}');
  writeFileSync(join(code, 'src', 'a.ts'), source);
  return code;
}

test('a mutation changes the copy and leaves the program as it is', () => {
  const code = program('await send();\nawait mark();\n');
  const edits = [{ file: 'src/a.ts', find: 'await send();\nawait mark();', replace: 'await mark();\nawait send();' }];
  mutate(code, { name: 'mark before send', edits }, join(folder, 'copy'));
  expect(readFileSync(join(folder, 'copy', 'src', 'a.ts'), 'utf8')).toBe('await mark();\nawait send();\n');
  expect(readFileSync(join(code, 'src', 'a.ts'), 'utf8')).toBe('await send();\nawait mark();\n');
});

test.each([
  ['nowhere', 'await send();', 0],
  ['twice', 'await mark();await mark();', 2],
])('a mutation whose place is %s says so', (_, source, times) => {
  const edits = [{ file: 'src/a.ts', find: 'await mark();', replace: '' }];
  expect(() => mutate(program(source), { name: 'no mark', edits }, join(folder, 'copy'))).toThrow(
    `mutation no mark: await mark(); is ${times} times in src/a.ts, must be once`,
  );
});

test.each(MUTATIONS.map((mutation) => [mutation.name, mutation] as const))(
  'the mutation "%s" fits the program and names a scenario',
  (_, mutation) => {
    expect(SCENARIOS.map(({ name }) => name)).toContain(mutation.scenario);
    for (const { file, find } of mutation.edits) {
      expect(readFileSync(join(ROOT, file), 'utf8').split(find)).toHaveLength(2);
    }
  },
);
