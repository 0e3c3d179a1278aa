import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findViolations, readSources, ROOMS } from '../../checks/import-directions.ts';

const root = join(import.meta.dirname, '../..');

/** The reasons why `source`, standing at `path`, breaks the directions. */
function reasons(path: string, source: string): readonly string[] {
  return findViolations(new Map([[path, source]])).map(({ reason }) => reason);
}

describe('the modules of this project', () => {
  test('import only what their rooms may know', () => {
    expect(findViolations(readSources(root))).toEqual([]);
  });

  test('are all looked at', () => {
    const paths = [...readSources(root).keys()];
    expect(paths).toContain('src/genesis/session.ts');
    expect(paths).toContain('src/errors.ts');
    expect(paths.every((path) => path.startsWith('src/'))).toBe(true);
  });
});

describe('an import that points the wrong way is found', () => {
  test.each([
    ['the domain imports another room', 'src/genesis/decide.ts', `import { x } from '../outbox/x.ts';`],
    ['the domain imports shared errors', 'src/genesis/decide.ts', `import { x } from '../errors.ts';`],
    ['the domain imports a Node module', 'src/genesis/decide.ts', `import { x } from 'node:fs';`],
    ['the domain imports a package', 'src/genesis/decide.ts', `import { x } from 'uuid';`],
    ['a driver outside its room', 'src/relay/relay.ts', `import { Producer } from '@platformatic/kafka';`],
    ['a driver in the other driver room', 'src/kafka/publisher.ts', `import pg from 'pg';`],
    ['a path inside a package', 'src/commands/batch.ts', `import pool from 'pg/lib/pool.js';`],
    ['only a type', 'src/commands/batch.ts', `import type { Pool } from 'pg';`],
    ['only a side effect', 'src/commands/batch.ts', `import 'pg';`],
    ['a re-export', 'src/relay/relay.ts', `export { x } from '../postgres/pool.ts';`],
    ['a re-export of everything', 'src/relay/relay.ts', `export * from '../postgres/pool.ts';`],
    ['a dynamic import', 'src/commands/batch.ts', `const x = await import('../http/x.ts');`],
    [
      'the inside of a room that only shows its ports',
      'src/postgres/store.ts',
      `import { x } from '../relay/drain.ts';`,
    ],
    ['a web framework outside http', 'src/commands/batch.ts', `import fastify from 'fastify';`],
    ['test code', 'src/http/server.ts', `import { x } from '../../test/support/x.ts';`],
    ['development infrastructure, outside bin', 'src/cli/start.ts', `await import('../../local/keeper.ts');`],
    ['development infrastructure, loaded at once', 'src/bin/main.ts', `import { x } from '../../local/keeper.ts';`],
    ['bin, from below', 'src/cli/start.ts', `import { x } from '../bin/main.ts';`],
  ])('%s', (_, path, source) => {
    expect(reasons(path, source)).toHaveLength(1);
  });

  test('and told with its line and the reason', () => {
    const source = `import { a } from './a.ts';\n\nimport { b } from '../http/b.ts';\n`;
    expect(findViolations(new Map([['src/relay/relay.ts', source]]))).toEqual([
      { path: 'src/relay/relay.ts', line: 3, reason: 'relay does not know http/b.ts' },
    ]);
  });
});

describe('an import that points the right way is let pass', () => {
  test.each([
    ['a neighbour in the same room', 'src/relay/relay.ts', `import { x } from './ports.ts';`],
    ['the domain', 'src/commands/batch.ts', `import { decide } from '../genesis/decide.ts';`],
    ['the ports of another room', 'src/postgres/store.ts', `import type { OutboxStore } from '../relay/ports.ts';`],
    ['a driver in its room', 'src/postgres/pool.ts', `import pg from 'pg';`],
    ['a Node module', 'src/http/server.ts', `import { createHash } from 'node:crypto';`],
    ['development infrastructure, loaded by bin', 'src/bin/main.ts', `await import('../../local/keeper.ts');`],
    ['its own types exported', 'src/relay/ports.ts', `export interface X {}\nexport type { Y };\ntype Y = string;`],
  ])('%s', (_, path, source) => {
    expect(reasons(path, source)).toEqual([]);
  });
});

describe('what cannot be judged is not let pass', () => {
  test('a computed dynamic import', () => {
    expect(reasons('src/http/server.ts', 'await import(name);')).toHaveLength(1);
    expect(reasons('src/http/server.ts', 'await import(`../${room}/x.ts`);')).toHaveLength(1);
  });

  test('a module in a room that nobody entered into the table', () => {
    expect(reasons('src/helpers/misc.ts', '')).toEqual(['no room helpers in checks/import-directions.ts']);
    expect(reasons('src/misc.ts', '')).toEqual(['no room misc.ts in checks/import-directions.ts']);
  });

  test('a module that cannot be parsed', () => {
    expect(() => reasons('src/relay/relay.ts', 'import {')).toThrow('src/relay/relay.ts');
  });

  test('no modules at all', () => {
    expect(() => findViolations(new Map())).toThrow('no modules');
  });
});

test('the table has no way round: whoever is known does not know back', () => {
  const knows = (from: string, to: string) => ROOMS[from]?.rooms.some((room) => room.split('/')[0] === to) ?? false;
  const names = Object.keys(ROOMS);
  const mutual = names.flatMap((a) => names.filter((b) => knows(a, b) && knows(b, a)).map((b) => `${a} <-> ${b}`));
  expect(mutual).toEqual([]);
});
