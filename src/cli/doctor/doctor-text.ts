import { counted } from '../progress.ts';
import { AREAS, type Check, type Level } from './check.ts';

/** How a finding looks: its mark, and its colour by its ANSI number. */
const MARKS = {
  ok: ['✓', 32],
  warn: ['!', 33],
  fail: ['✗', 31],
  skip: ['·', 90],
} as const satisfies Record<Level, readonly [mark: string, colour: number]>;
const LEAST_WIDTH = 40;

export interface Look {
  /** Characters of a line. */
  readonly width: number;
  readonly colour: boolean;
}

/** All findings by area, and what they come to. */
export function doctorText(checks: readonly Check[], look: Look): string {
  const named = Math.max(0, ...checks.map(({ name }) => name.length));
  const blocks = AREAS.flatMap((area) => {
    const found = checks.filter((check) => check.area === area);
    if (found.length === 0) return [];
    return [
      [`${area.slice(0, 1).toUpperCase()}${area.slice(1)}`, ...found.map((check) => line(check, named, look)), ''].join(
        '\n',
      ),
    ];
  });
  return [...blocks, summary(checks, look)].join('\n');
}

function line({ level, name, detail, todo }: Check, named: number, { width, colour }: Look): string {
  const [mark, number] = MARKS[level];
  const indent = ' '.repeat(named + 6);
  const text = wrapped(detail, Math.max(LEAST_WIDTH, width) - indent.length);
  const what = todo === null ? [] : wrapped(`→ ${todo}`, Math.max(LEAST_WIDTH, width) - indent.length);
  const lines = [...text, ...what].join(`\n${indent}`);
  return `  ${painted(mark, number, colour)} ${name.padEnd(named)}  ${lines}`;
}

/** Words on lines of at most `width` characters; a longer word has a line of its own. */
function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  // Words of a server may have line breaks, and worse for a terminal.
  for (const word of text.replaceAll(/\p{Cc}+/gu, ' ').split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function painted(text: string, number: number, colour: boolean): string {
  return colour ? `\u001B[${number}m${text}\u001B[0m` : text;
}

export function countLevels(checks: readonly Check[]): Readonly<Record<Level, number>> {
  const of = (level: Level) => checks.filter((check) => check.level === level).length;
  return { ok: of('ok'), warn: of('warn'), fail: of('fail'), skip: of('skip') };
}

function summary(checks: readonly Check[], { colour }: Look): string {
  const { ok, warn, fail, skip } = countLevels(checks);
  const part = (level: Level, count: number, words: string) =>
    count === 0 ? [] : [painted(`${counted(count, 'thing')} ${words}`, MARKS[level][1], colour)];
  const wrong = [
    ...part('fail', fail, 'to mend'),
    ...part('warn', warn, 'to look at'),
    ...part('skip', skip, 'not looked at'),
  ];
  const well = `${ok} well`;
  return wrong.length === 0 ? `all ${well}` : [...wrong, well].join(', ');
}
