/** Samples of Prometheus' text format, by name and labels as they stand there: `name{a="b"}`. */
export function seriesOf(text: string): ReadonlyMap<string, number> {
  const samples = [...text.matchAll(/^(?<series>[a-z0-9_]+(?:\{.*\})?) (?<value>\S+)$/gmu)];
  return new Map(samples.map(({ groups = {} }) => [groups['series'] ?? '', Number(groups['value'])]));
}

/** The sum of all samples of one name that carry all of these labels; undefined: there is none. */
export function total(
  series: ReadonlyMap<string, number>,
  name: string,
  ...labels: readonly string[]
): number | undefined {
  const found = [...series].filter(
    ([key]) => (key === name || key.startsWith(`${name}{`)) && labels.every((label) => key.includes(label)),
  );
  return found.length === 0 ? undefined : found.reduce((sum, [, value]) => sum + value, 0);
}

/** Asks for metrics. Gives the samples, the text, and how many milliseconds that took. */
export async function scrape(address: string) {
  const began = performance.now();
  const response = await fetch(`${address}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}: ${text}`);
  const milliseconds = performance.now() - began;
  return { series: seriesOf(text), text, milliseconds, contentType: response.headers.get('content-type') };
}
