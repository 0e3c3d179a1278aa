/*
 * Charts as SVG, without a library: what the benchmarks have to draw is a line or a bar. A chart brings its own background, light or
 * dark as the reader's system is, so that it is readable wherever it is shown.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export type Point = readonly [x: number, y: number];

/** One line, or one colour of bars. */
export interface Series<Data> {
  readonly name: string;
  readonly data: Data;
}

export interface Axis {
  readonly label: string;
  /** Where its marks are; default: at round numbers. */
  readonly ticks?: readonly number[];
  /** Equal distances are equal ratios. All values must be above 0. */
  readonly logarithmic?: boolean;
}

export interface LineChart {
  readonly title: string;
  readonly x: Axis;
  /** Begins at 0 unless it is logarithmic. */
  readonly y: Axis;
  readonly series: readonly Series<readonly Point[]>[];
}

export interface BarChart {
  readonly title: string;
  /** What the groups of bars stand for. */
  readonly categories: readonly string[];
  readonly y: { readonly label: string };
  /** A value for each category. */
  readonly series: readonly Series<readonly number[]>[];
}

const WIDTH = 760;
const HEIGHT = 400;
const AREA = { left: 76, right: WIDTH - 24, bottom: HEIGHT - 52 };
const LEGEND_TOP = 46;
const LEGEND_LINE = 18;
/** A letter's width in px, about: text is as wide as the reader's font makes it. */
const LETTER = 6.6;
const MOST_TICKS = 7;

/** Colours that people with any colour vision tell apart (Okabe and Ito), lighter on dark. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#aa4499', '#b38600', '#555555'];
const COLOURS_ON_DARK = ['#56b4e9', '#ff8c42', '#2bd1a0', '#e39bc8', '#f0e442', '#bbbbbb'];
/** Lines differ in more than colour. */
const DASHES = ['none', '7 4', '2 3', '9 3 2 3', '4 2', '12 4'];

const STYLE = `text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.paper{fill:#ffffff}
.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2}
${colours(COLOURS)}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}
${colours(COLOURS_ON_DARK)}}`;

function colours(palette: readonly string[]): string {
  const rules = palette.map((colour, at) => `.c${at}{stroke:${colour}}.f${at}{fill:${colour}}`);
  return rules.join('');
}

/** @throws Error when there is nothing to draw, or a number is none */
export function lineChart({ title, x, y, series }: LineChart): string {
  const points = series.flatMap(({ data }) => data);
  const [xs, ys] = [points.map(([at]) => at), points.map(([, value]) => value)];
  const top = legendBottom(series);
  const across = scaleOf(x, xs, [AREA.left, AREA.right], title);
  const up = scaleOf(y, y.logarithmic === true ? ys : [0, ...ys], [AREA.bottom, top], title);
  const lines = series.map(({ data }, index) => {
    const at = data.map(([px, py]) => [across.place(px), up.place(py)] as const);
    const dots =
      at.length > 40 ? [] : at.map(([cx, cy]) => `<circle class="f${colour(index)}" cx="${cx}" cy="${cy}" r="3"/>`);
    return [line(index, at), ...dots].join('');
  });
  const marks = across.ticks.map((tick) => text(across.place(tick), AREA.bottom + 18, label(tick), 'middle'));
  return drawing(title, [
    ...legend(series, lineSample),
    ...valueAxis(y.label, up),
    ...marks,
    text((AREA.left + AREA.right) / 2, HEIGHT - 12, x.label, 'middle'),
    ...lines,
  ]);
}

/** @throws Error when there is nothing to draw, or a number is none */
export function barChart({ title, categories, y, series }: BarChart): string {
  const up = scaleOf(y, [0, ...series.flatMap(({ data }) => data)], [AREA.bottom, legendBottom(series)], title);
  const group = (AREA.right - AREA.left) / categories.length;
  const width = round((group * 0.7) / series.length);
  const bars = categories.flatMap((category, place) => {
    const left = AREA.left + group * place + group * 0.15;
    const own = series.flatMap(({ data }, index) => {
      const value = data[place];
      if (value === undefined) throw new Error(`${title}: no value for ${category}`);
      const [begin, end] = [round(left + width * index), up.place(value)];
      return [
        `<rect class="f${colour(index)}" x="${begin}" y="${end}" width="${width}" height="${round(AREA.bottom - end)}"/>`,
        text(round(begin + width / 2), end - 4, label(value), 'middle'),
      ];
    });
    return [...own, text(round(left + group * 0.35), AREA.bottom + 18, category, 'middle')];
  });
  return drawing(title, [...legend(series, barSample), ...valueAxis(y.label, up), ...bars]);
}

/** Charts below each other, as one. */
export function stack(charts: readonly string[]): string {
  const placed = charts.map((chart, at) => chart.replace('<svg ', `<svg y="${at * HEIGHT}" `));
  return svg(charts.length * HEIGHT, placed.join('\n'));
}

/** Writes it to a file, and makes its folder. */
export function saveChart(path: string, chart: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, chart);
  console.log(`chart: ${path}`);
}

interface Scale {
  readonly ticks: readonly number[];
  /** Where a value is, in px. */
  readonly place: (value: number) => number;
}

function scaleOf(axis: Axis, values: readonly number[], [from, to]: readonly [number, number], title: string): Scale {
  const bad = values.find((value) => !Number.isFinite(value) || (axis.logarithmic === true && value <= 0));
  if (bad !== undefined) throw new Error(`${title}: ${axis.label} cannot be ${bad}`);
  const ticks = axis.ticks ?? (axis.logarithmic === true ? powers(values) : roundNumbers(values));
  const all = [...values, ...ticks];
  if (values.length === 0) throw new Error(`${title}: there is nothing to draw`);
  const measure = axis.logarithmic === true ? Math.log : Number;
  const [least, most] = [measure(Math.min(...all)), measure(Math.max(...all))];
  // One value alone is in the middle.
  const share = (value: number): number => (most === least ? 0.5 : (measure(value) - least) / (most - least));
  return { ticks, place: (value) => round(from + share(value) * (to - from)) };
}

function powers(values: readonly number[]): readonly number[] {
  const first = Math.floor(Math.log10(Math.min(...values)));
  const last = Math.ceil(Math.log10(Math.max(...values)));
  return Array.from({ length: last - first + 1 }, (_, at) => 10 ** (first + at));
}

/** Steps of 1, 2 or 5 times a power of ten that hold all values. */
function roundNumbers(values: readonly number[]): readonly number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const rough = (most - least || Math.abs(most) || 1) / (MOST_TICKS - 2);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(least / step);
  const count = Math.ceil(most / step - 1e-9) - first + 1;
  return Array.from({ length: count }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

function valueAxis(name: string, up: Scale): readonly string[] {
  const middle = round((up.place(up.ticks[0] ?? 0) + up.place(up.ticks.at(-1) ?? 0)) / 2);
  return [
    ...up.ticks.flatMap((tick) => {
      const at = up.place(tick);
      const line = `<line class="grid" x1="${AREA.left}" y1="${at}" x2="${AREA.right}" y2="${at}"/>`;
      return [line, text(AREA.left - 8, at + 4, label(tick), 'end')];
    }),
    `<text transform="translate(18 ${middle}) rotate(-90)" text-anchor="middle">${escape(name)}</text>`,
  ];
}

interface Entry {
  readonly name: string;
  readonly index: number;
  readonly x: number;
  readonly y: number;
}

/** From left to right, in as many lines as it takes. */
function legendEntries(series: readonly { readonly name: string }[]): readonly Entry[] {
  let [x, y] = [AREA.left, LEGEND_TOP];
  return series.map(({ name }, index) => {
    const width = 28 + name.length * LETTER + 18;
    if (x > AREA.left && x + width > AREA.right) [x, y] = [AREA.left, y + LEGEND_LINE];
    const entry = { name, index, x: round(x), y };
    x += width;
    return entry;
  });
}

function legendBottom(series: readonly { readonly name: string }[]): number {
  return (legendEntries(series).at(-1)?.y ?? LEGEND_TOP) + 20;
}

/** @param sample What a series looks like, with its left end and its middle there. */
function legend(
  series: readonly { readonly name: string }[],
  sample: (index: number, x: number, y: number) => string,
): readonly string[] {
  return legendEntries(series).flatMap(({ name, index, x, y }) => [
    sample(index, x, y - 4),
    text(x + 28, y, name, 'start'),
  ]);
}

function lineSample(index: number, x: number, y: number): string {
  return line(index, [
    [x, y],
    [x + 22, y],
  ]);
}

function barSample(index: number, x: number, y: number): string {
  return `<rect class="f${colour(index)}" x="${x}" y="${y - 4}" width="14" height="8"/>`;
}

function line(index: number, places: readonly Point[]): string {
  const route = places.map(([x, y]) => `${x},${y}`).join(' ');
  return `<polyline class="line c${colour(index)}" stroke-dasharray="${DASHES[colour(index)] ?? 'none'}" points="${route}"/>`;
}

function colour(index: number): number {
  return index % COLOURS.length;
}

function text(x: number, y: number, content: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}">${escape(content)}</text>`;
}

function drawing(title: string, parts: readonly string[]): string {
  const paper = `<rect class="paper" width="${WIDTH}" height="${HEIGHT}"/>`;
  const heading = `<text class="title" x="${AREA.left}" y="26">${escape(title)}</text>`;
  return svg(
    HEIGHT,
    [`<title>${escape(title)}</title>`, `<style>${STYLE}</style>`, paper, heading, ...parts].join('\n'),
  );
}

function svg(height: number, content: string): string {
  const size = `width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" ${size}>\n${content}\n</svg>\n`;
}

function label(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
