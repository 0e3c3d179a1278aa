import { readFileSync } from 'node:fs';

const ARROW = /^ *(\S+) --> (\S+)(?: : .+)?$/u;
/** What a state stands for, in words. */
const NOTE = /^ *\S+ : .+$/u;

/**
 * `FROM -> TO` of every arrow between two states in the first state diagram below a heading; those from and to nothing are left out.
 *
 * @param path From the root of the project.
 * @param standsFor States of the drawing that are, in the program, a shade of another one.
 */
export function drawnBelow(
  path: string,
  heading: string,
  standsFor: Readonly<Record<string, string>> = {},
): readonly string[] {
  const document = readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const [, section = ''] = document.split(`\n${heading}\n`);
  const drawing = /```mermaid\nstateDiagram-v2\n(.*?)```/su.exec(section)?.[1] ?? '';
  const lines = drawing.split('\n').filter((line) => line.trim() !== '');
  const transitions = lines.flatMap((line) => {
    const [, from = '', to = ''] = ARROW.exec(line) ?? [];
    if (from === '' && !NOTE.test(line)) throw new Error(`${path}: this line of the drawing is no transition: ${line}`);
    if ([from, to].some((state) => state === '' || state === '[*]')) return [];
    const [one, other] = [from, to].map((state) => standsFor[state] ?? state);
    return one === other ? [] : [`${one} -> ${other}`];
  });
  if (transitions.length === 0) throw new Error(`${path}: no drawing below ${heading}`);
  return [...new Set(transitions)].toSorted();
}
