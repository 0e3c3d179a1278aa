/**
 * Compares ways to drain the outbox: what a claim and a mark cost, with and without a transaction that stays open beside them.
 * Nothing is sent. docs/adr/0008-how-the-outbox-is-drained.md says what follows from it.
 *
 *     DATABASE_URL=postgres://… node benchmarks/outbox-designs/run.ts [rows] [rounds]
 *
 * The user must be allowed to create databases; each run has one of its own, which is dropped. Designs take turns, so that whatever
 * else happens on the machine happens to all of them; the figures are medians of the rounds (of the WAL, the least). Default: 200,000 rows, 3 rounds.
 */
import { DESIGNS } from './designs.ts';
import { drain, type Figures } from './drain.ts';

const BATCH = 2_000;

async function main(server: string, rows: number, rounds: number): Promise<void> {
  for (const beside of [false, true]) {
    const figures = new Map(DESIGNS.map((design) => [design.name, new Array<Figures>()]));
    for (let round = 0; round < rounds; round += 1) {
      for (const design of DESIGNS) {
        figures.get(design.name)?.push(await drain(server, design, { rows, batch: BATCH, beside }));
        process.stderr.write('.');
      }
    }
    process.stdout.write(
      `\n${rows} rows, ${BATCH} a claim${beside ? ', beside an open transaction' : ''}\n\n${HEAD}\n`,
    );
    for (const [name, runs] of figures) process.stdout.write(`${line(name, runs)}\n`);
  }
}

const HEAD = `| design | events/s | PostgreSQL CPU µs/event | WAL bytes/event | HOT | table + indexes, MB | after vacuum | claim p50/p99 ms, first fifth | last fifth | mark p50 ms |
|---|---|---|---|---|---|---|---|---|---|`;

function line(name: string, runs: readonly Figures[]): string {
  const of = (value: (figures: Figures) => number) => {
    const sorted = runs.map(value).toSorted((one, other) => one - other);
    return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  };
  const mb = (value: (figures: Figures) => number) => Math.round(of(value) / 1e6);
  const hot = runs[0]?.hot ?? null;
  const cells = [
    name,
    Math.round(of((run) => run.eventsPerSecond)),
    of((run) => run.cpuPerEvent).toFixed(1),
    Math.round(Math.min(...runs.map((run) => run.walPerEvent))),
    hot === null ? '–' : `${Math.round(of((run) => run.hot ?? 0) * 100)} %`,
    `${mb((run) => run.table)} + ${mb((run) => run.indexes)}`,
    `${mb((run) => run.tableAfter)} + ${mb((run) => run.indexesAfter)}`,
    `${of((run) => run.early[0]).toFixed(1)} / ${of((run) => run.early[1]).toFixed(1)}`,
    `${of((run) => run.late[0]).toFixed(1)} / ${of((run) => run.late[1]).toFixed(1)}`,
    of((run) => run.markMedian).toFixed(1),
  ];
  return `| ${cells.join(' | ')} |`;
}

const { DATABASE_URL: server = '' } = process.env;
if (server === '') throw new Error('Set DATABASE_URL to a PostgreSQL server whose user may create databases.');
const [rows = '200000', rounds = '3'] = process.argv.slice(2);
await main(server, Number(rows), Number(rounds));
