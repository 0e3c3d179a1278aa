import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const PATTERNS = ['*.ts', '{src,local,test,checks,examples,faults,benchmarks}/**/*.{ts,mts,js,mjs}'];

/** A comment that makes a tool look away. */
const SWITCH =
  /(?:\/\/|\/\*)\s*(?:(?:eslint|oxlint)-disable|@ts-(?:ignore|nocheck|expect-error)|(?:v8|c8|istanbul) ignore|oxfmt-ignore|prettier-ignore)/;

test('no comment switches a check off', () => {
  const files = globSync(PATTERNS, { cwd: root });
  expect(files.length).toBeGreaterThan(0);
  expect(files.filter((path) => SWITCH.test(readFileSync(join(root, path), 'utf8')))).toEqual([]);
});

test('such a comment would be found', () => {
  for (const name of ['oxlint-disable-next-line', 'eslint-disable', 'v8 ignore next', '@ts-expect-error']) {
    expect(`const x = 1; // ${name}`).toMatch(SWITCH);
    expect(`/* ${name} */`).toMatch(SWITCH);
  }
});
