import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');

/** The paths in the first column of the table below a heading. */
function pathsBelow(heading: string, markdown: string): readonly string[] {
  const [, section = ''] = markdown.split(`\n## ${heading}\n`);
  const [table = ''] = section.split('\n## ');
  return [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, path = '']) => path);
}

/** Files below src, and folders that hold at least one file, as they are written in ARCHITECTURE.md. */
function roomsOfSource(): readonly string[] {
  const files = globSync('src/**/*.*', { cwd: root });
  return [...new Set(files.map((path) => path.replace(/^(src\/[^/]+\/).*$/, '$1')))];
}

function exists(path: string): boolean {
  return path.endsWith('/')
    ? globSync(`${path}**/*.*`, { cwd: root }).length > 0
    : globSync(path, { cwd: root }).length > 0;
}

describe('ARCHITECTURE.md', () => {
  const rooms = pathsBelow('Rooms', read('ARCHITECTURE.md'));
  const later = pathsBelow('Where later rooms will stand', read('ARCHITECTURE.md'));

  test('names every room under src', () => {
    expect(rooms.filter((path) => path.startsWith('src/')).toSorted()).toEqual(roomsOfSource().toSorted());
  });

  test('names nothing as built that is not there', () => {
    expect(rooms.length).toBeGreaterThan(10);
    expect(rooms.filter((path) => !exists(path))).toEqual([]);
  });

  test('names nothing as to come that is there', () => {
    expect(later.length).toBeGreaterThan(0);
    expect(later.filter(exists)).toEqual([]);
  });
});

describe('docs/adr', () => {
  const decisions = readdirSync(join(root, 'docs/adr')).filter((name) => name !== 'README.md');

  test('holds decisions only, each with its own number', () => {
    expect(decisions.filter((name) => !/^\d{4}-[a-z0-9-]+\.md$/.test(name))).toEqual([]);
    const numbers = decisions.map((name) => name.slice(0, 4));
    expect(numbers).toEqual([...new Set(numbers)]);
  });

  test('has every decision in its index, and nothing else', () => {
    const linked = [...read('docs/adr/README.md').matchAll(/\]\((\d{4}[^)]+)\)/g)].map(([, name]) => name);
    expect(linked).toEqual(decisions.toSorted());
  });

  test.each(decisions)('%s carries its number', (name) => {
    expect(read(join('docs/adr', name))).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. `));
  });
});

test('relative links in the documents lead somewhere', () => {
  const documents = globSync(['*.md', 'docs/**/*.md'], { cwd: root });
  const broken = documents.flatMap((document) => {
    const links = [...read(document).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)];
    return links
      .map(([, target = '']) => join(document, '..', target))
      .filter((path) => globSync(path, { cwd: root }).length === 0)
      .map((path) => `${document} -> ${path}`);
  });
  expect(documents.length).toBeGreaterThan(0);
  expect(broken).toEqual([]);
});
