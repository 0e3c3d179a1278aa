import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { choosePort, LOOPBACK } from '../../local/ports.ts';
import { startServer } from '../../local/processes.ts';
import { until } from '../until.ts';
import { writeScaledRules } from './scaled-rules.ts';

export interface PrometheusOptions {
  /** Path of the program. */
  readonly program: string;
  /** Where data, configuration and log go. The caller removes it. */
  readonly folder: string;
  /** By how much the times of the rules are divided. */
  readonly factor: number;
}

/** Addresses (host:port) by job. */
export type Targets = Readonly<Record<string, readonly string[]>>;

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ActiveAlert {
  readonly state: 'pending' | 'firing';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

interface Metadata {
  readonly metric: Readonly<Record<string, string>>;
}

/** A Prometheus that looks every second. */
export interface PrometheusServer {
  /** From now on it scrapes these; takes a few seconds. */
  scrape(targets: Targets): void;
  /** @throws with Prometheus' own words when it takes the expression for none */
  query(expression: string): Promise<readonly Sample[]>;
  /** Labels of every series that it knows and that fits. */
  series(selector: string): Promise<readonly Metadata['metric'][]>;
  alerts(): Promise<readonly ActiveAlert[]>;
  stop(): Promise<void>;
}

const END = [
  { signal: 'SIGTERM', grace: 10_000 },
  { signal: 'SIGKILL', grace: 5_000 },
] as const;

/** Starts it with the delivered rules. Resolves once it answers. */
export async function startPrometheus({ program, folder, factor }: PrometheusOptions): Promise<PrometheusServer> {
  mkdirSync(folder, { recursive: true });
  const ruleFiles = writeScaledRules(join(folder, 'rules'), factor);
  const targetFile = join(folder, 'targets.json');
  const scrape = (targets: Targets): void => {
    const groups = Object.entries(targets).map(([job, addresses]) => ({ targets: addresses, labels: { job } }));
    // Moved into its place: a half is never read.
    writeFileSync(`${targetFile}.new`, JSON.stringify(groups));
    renameSync(`${targetFile}.new`, targetFile);
  };
  scrape({});
  const configuration = join(folder, 'prometheus.yml');
  writeFileSync(
    configuration,
    stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: ruleFiles,
      scrape_configs: [{ job_name: 'genesis', file_sd_configs: [{ files: [targetFile], refresh_interval: '1s' }] }],
    }),
  );
  const port = await choosePort({ variable: '--web.listen-address', use: 'Prometheus', taken: new Set() });
  const args = [
    `--config.file=${configuration}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${LOOPBACK}:${port}`,
    '--log.level=warn',
  ];
  const child = await startServer({ command: program, args, cwd: folder }, join(folder, 'prometheus.log'));
  const ask = asking(`http://${LOOPBACK}:${port}`);
  try {
    await until('Prometheus that answers', async () => (await ask('query', { query: '1' })) !== null);
  } catch (error) {
    await child.end(END);
    throw error;
  }
  return {
    scrape,
    query: async (expression) => samplesOf(await ask('query', { query: expression })),
    series: async (selector) => (await ask('series', { 'match[]': selector })) as readonly Metadata['metric'][],
    alerts: async () => ((await ask('alerts', {})) as { readonly alerts: readonly ActiveAlert[] }).alerts,
    async stop() {
      await child.end(END);
    },
  };
}

interface Answer {
  readonly status: 'success' | 'error';
  readonly error?: string;
  readonly data?: unknown;
}

function asking(address: string) {
  return async (what: string, parameters: Readonly<Record<string, string>>): Promise<unknown> => {
    const response = await fetch(`${address}/api/v1/${what}?${new URLSearchParams(parameters).toString()}`);
    const answer = (await response.json()) as Answer;
    if (answer.status === 'success') return answer.data;
    throw new Error(`Prometheus: ${answer.error ?? response.status}: ${JSON.stringify(parameters)}`);
  };
}

interface Result {
  readonly resultType: 'vector' | 'scalar' | 'string';
  readonly result: readonly { readonly metric: Sample['metric']; readonly value: readonly [number, string] }[];
}

function samplesOf(data: unknown): readonly Sample[] {
  const { resultType, result } = data as Result;
  if (resultType !== 'vector') throw new Error(`an expression that gives a ${resultType}, not a vector`);
  return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
}
