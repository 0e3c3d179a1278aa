import { Gauge, Registry } from 'prom-client';

/** What a scrape is answered with. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** The metrics of one process. */
export class Metrics {
  readonly registry = new Registry();
  readonly #refreshers: (() => void | Promise<void>)[] = [];

  /** Before each scrape is answered, `refresh` is called and waited for. It must not reject, and must be bounded in time. */
  onScrape(refresh: () => void | Promise<void>): void {
    this.#refreshers.push(refresh);
  }

  /** Resolves within the time of the slowest refresher: below a second. */
  async scrape(): Promise<MetricsPage> {
    await Promise.all(this.#refreshers.map(async (refresh) => refresh()));
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }
}

/** Who this process is. */
export interface BuildInfo {
  /** Of package.json. */
  readonly version: string;
  /** SERVICE_TYPE, or what else runs. */
  readonly service: string;
}

/** Metrics with what holds for every process. */
export function createMetrics({ version, service }: BuildInfo): Metrics {
  const metrics = new Metrics();
  new Gauge({
    name: 'genesis_build_info',
    help: 'Always 1: which version runs, as what, on which Node.js',
    labelNames: ['version', 'service', 'node'],
    registers: [metrics.registry],
  }).set({ version, service, node: process.version }, 1);
  return metrics;
}
