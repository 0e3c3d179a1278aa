import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FLAWS } from '../../checks/model.ts';

const root = join(import.meta.dirname, '../..');
const model = readFileSync(join(root, 'docs/spec/relay.qnt'), 'utf8');
const readme = readFileSync(join(root, 'docs/spec/README.md'), 'utf8');

/** Texts that a flaw is compared with, or is looked up among. */
function flawsOf(text: string): Set<string> {
  const compared = [...text.matchAll(/FLAW [!=]= "([^"]+)"/g)].map(([, flaw]) => flaw);
  const among = [...text.matchAll(/Set\(([^)]*)\)\.contains\(FLAW\)/g)].flatMap(([, list]) =>
    [...(list ?? '').matchAll(/"([^"]+)"/g)].map(([, flaw]) => flaw),
  );
  return new Set([...compared, ...among].filter((flaw) => flaw !== undefined));
}

describe('the model of the relays', () => {
  test('has no flaw that no run looks for, and none is looked for that it does not have', () => {
    expect([...flawsOf(model)].toSorted()).toEqual([...new Set(FLAWS.map(([flaw]) => flaw))].toSorted());
  });

  test('has each of its flaws and invariants explained', () => {
    const invariants = /val safe = and \{([^}]*)\}/.exec(model)?.[1]?.match(/\w+/g) ?? [];
    expect(invariants.length).toBeGreaterThan(0);
    const named = [...invariants.map((name) => `| \`${name}\` |`), ...FLAWS.map(([flaw]) => `| ${flaw} |`)];
    expect(named.filter((row) => !readme.includes(row))).toEqual([]);
  });
});
