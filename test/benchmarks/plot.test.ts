import { expect, test } from 'vitest';
import { barChart, lineChart, stack } from '../../benchmarks/plot.ts';

const RATES = lineChart({
  title: 'Rates <of> "A" & B',
  x: { label: 'connections', ticks: [1, 16, 64], logarithmic: true },
  y: { label: 'per second' },
  series: [
    {
      name: 'API',
      data: [
        [1, 700],
        [16, 3_000],
        [64, 7_400],
      ],
    },
    {
      name: 'pgbench & textbook',
      data: [
        [1, 3_700],
        [64, 3_700],
      ],
    },
  ],
});

const LATENCIES = barChart({
  title: 'Latency',
  categories: ['p50', 'p99'],
  y: { label: 'ms' },
  series: [
    { name: 'relay', data: [4.5, 13] },
    { name: 'peer', data: [11.7, 77] },
  ],
});

const TOKEN =
  /<(?<end>\/?)(?<name>[a-z]+)(?: [A-Za-z][A-Za-z0-9-]*="[^"<&]*(?:&[a-z]+;[^"<&]*)*")*(?<empty>\/?)>|(?:[^<&]|&(?:amp|lt|gt|quot);)+/uy;

/** @throws Error at what is no XML; knows what these drawings use of it */
function tokensOf(xml: string): readonly RegExpExecArray[] {
  const tokens: RegExpExecArray[] = [];
  TOKEN.lastIndex = 0;
  for (let at = 0; at < xml.length; at = TOKEN.lastIndex) {
    const token = TOKEN.exec(xml);
    if (token === null) throw new Error(`not XML: ${xml.slice(at, at + 60)}`);
    tokens.push(token);
  }
  return tokens;
}

/** Follows a token: which elements are open after it. @throws Error when another one should have ended first */
function follow(open: readonly string[], { groups }: RegExpExecArray): readonly string[] {
  const { name, end, empty } = groups ?? {};
  if (name === undefined || empty === '/') return open;
  if (end === '') return [...open, name];
  if (open.at(-1) !== name) throw new Error(`${name} ends where ${open.at(-1)} is open`);
  return open.slice(0, -1);
}

/** Its elements in order. @throws Error when they are not properly nested in one */
function elementsOf(xml: string): readonly string[] {
  const tokens = tokensOf(xml);
  let open: readonly string[] = [];
  for (const [at, token] of tokens.entries()) {
    if (open.length === 0 && at > 0 && token[0].trim() !== '') throw new Error(`after the end: ${token[0]}`);
    open = follow(open, token);
  }
  if (open.length > 0) throw new Error(`not ended: ${open.join(', ')}`);
  return tokens.flatMap(({ groups }) => (groups?.['name'] === undefined ? [] : [groups['name']]));
}

/** What is written in it, as people read it. */
function textsOf(svg: string): readonly string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/gu)].map(([, text = '']) =>
    text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&'),
  );
}

test.each([
  ['a line chart', RATES],
  ['a bar chart', LATENCIES],
  ['charts below each other', stack([RATES, LATENCIES])],
])('%s is well-formed', (_, svg) => {
  expect(elementsOf(svg)[0]).toBe('svg');
});

test('what is not well-formed is seen as such by these tests', () => {
  expect(() => elementsOf(RATES.replace('&lt;', '<'))).toThrow('not XML');
  expect(() => elementsOf(RATES.replace('&amp;', '&'))).toThrow('not XML');
  expect(() => elementsOf(RATES.replace('</text>', ''))).toThrow('is open');
});

test('a line chart says what it shows: title, axes, series, marks', () => {
  expect(textsOf(RATES)).toEqual(
    expect.arrayContaining([
      'Rates <of> "A" & B',
      'connections',
      'per second',
      'API',
      'pgbench & textbook',
      '1',
      '16',
      '64',
    ]),
  );
  expect(textsOf(RATES)).toEqual(expect.arrayContaining(['0', '2,000', '4,000', '6,000', '8,000']));
});

test('a bar chart says the value of each bar', () => {
  expect(textsOf(LATENCIES)).toEqual(
    expect.arrayContaining(['Latency', 'ms', 'relay', 'peer', 'p50', 'p99', '4.5', '13', '11.7', '77']),
  );
});

test('the height of a bar is in proportion to its value', () => {
  const heights = [...LATENCIES.matchAll(/width="[\d.]+" height="([\d.]+)"/gu)].map(([, height]) => Number(height));
  const [small, , , large] = heights.slice(-4);
  expect(Number(large) / Number(small)).toBeCloseTo(77 / 4.5, 0);
});

test('equal ratios are equal distances on a logarithmic axis', () => {
  const [, route = ''] = [...RATES.matchAll(/points="([^"]+ [^"]+ [^"]+)"/gu)][0] ?? [];
  const [one = 0, sixteen = 0, sixtyFour = 0] = route.split(' ').map((point) => Number(point.split(',')[0]));
  expect((sixteen - one) / (sixtyFour - sixteen)).toBeCloseTo(2, 1);
});

test('a number that is none, and nothing at all, are no chart', () => {
  const chart = { title: 'Rates', x: { label: 'x' }, y: { label: 'per second' } };
  expect(() => lineChart({ ...chart, series: [] })).toThrow('Rates: there is nothing to draw');
  expect(() => lineChart({ ...chart, series: [{ name: 'a', data: [[1, NaN]] }] })).toThrow('per second cannot be NaN');
  const logarithmic = { ...chart, x: { label: 'x', logarithmic: true } };
  expect(() => lineChart({ ...logarithmic, series: [{ name: 'a', data: [[0, 1]] }] })).toThrow('x cannot be 0');
});
