import { readFileSync } from 'node:fs';

/** `FROM -> TO` of every arrow between two states that docs/command-life.md draws; those from and to nothing are left out. */
export function drawnTransitions(): readonly string[] {
  const document = readFileSync(new URL('../../docs/command-life.md', import.meta.url), 'utf8');
  const drawing = /```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(document)?.[1] ?? '';
  const arrows = [...drawing.matchAll(/^ *(\S+) --> (\S+)( : .+)?$/gm)];
  const lines = drawing.split('\n').filter((line) => line.trim() !== '');
  if (arrows.length !== lines.length) throw new Error('docs/command-life.md: a line of the drawing is no transition');
  return arrows
    .filter(([, from, to]) => from !== '[*]' && to !== '[*]')
    .map(([, from, to]) => `${from} -> ${to}`)
    .toSorted();
}
