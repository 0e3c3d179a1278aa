import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { prometheusTools } from '../checks/promtool.ts';
import { DATABASE_FAULTS } from './alerts/database-faults.ts';
import type { Fault } from './alerts/fault.ts';
import { PROCESS_FAULTS } from './alerts/process-faults.ts';
import { AlertRun, unprovoked, type AlertRow } from './alerts/run.ts';
import { Stage } from './alerts/stage.ts';
import { alertTable } from './alerts/table.ts';
import { TOPIC_FAULTS } from './alerts/topic-faults.ts';

const USAGE = `npm run faults:alerts -- [ALERT…] [--factor N] [--json FILE] [--keep]
Starts Genesis, PostgreSQL, Kafka and a Prometheus with the rules of deploy/prometheus, all times of which are divided by N (60).
Causes each fault, waits until its alerts fire, heals it, waits until they are over. Exit code: 0 all did · 1 not all.`;

/** The first one has an aftermath of minutes, which ends beside the others; a topic that holds what it should not comes last. */
const FAULTS: readonly Fault[] = [
  ...TOPIC_FAULTS.slice(0, 2),
  ...PROCESS_FAULTS,
  ...DATABASE_FAULTS,
  ...TOPIC_FAULTS.slice(2),
];

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    factor: { type: 'string', default: '60' },
    json: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const alertsOf = ({ alerts, aftermath = [] }: Fault): readonly string[] => [...alerts, ...aftermath];

function chosen(): readonly Fault[] {
  const known = FAULTS.flatMap(alertsOf);
  const strange = positionals.filter((name) => !known.includes(name));
  if (strange.length > 0) throw new Error(`no fault causes ${strange.join(', ')}\n${USAGE}`);
  return positionals.length === 0
    ? FAULTS
    : FAULTS.filter((fault) => alertsOf(fault).some((alert) => positionals.includes(alert)));
}

async function main(folder: string): Promise<number> {
  const tools = prometheusTools();
  if (tools === null) throw new Error('this needs a Prometheus');
  const faults = chosen();
  const tell = (line: string): void => console.log(`${new Date().toISOString().slice(11, 23)} ${line}`);
  tell(`starting everything (${folder})`);
  const opening = Stage.open({ prometheus: tools.prometheus, folder, factor: Number(options.factor) });
  const abandon = (): void => void opening.then((opened) => opened.close()).finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, abandon);
  const stage = await opening;
  try {
    const rows: AlertRow[] = [];
    const run = new AlertRun(stage, tell, (row) => {
      rows.push(row);
      console.log(JSON.stringify(row));
      if (options.json !== undefined) appendFileSync(options.json, `${JSON.stringify(row)}\n`);
    });
    await run.play(faults).finally(() => console.log(`\n${alertTable(rows)}`));
    const missing = unprovoked(FAULTS);
    if (missing.length > 0) console.log(`No fault here causes: ${missing.join(', ')}`);
    return rows.every(({ clearedAfter }) => clearedAfter !== null) && missing.length === 0 ? 0 : 1;
  } finally {
    await stage.close();
  }
}

if (options.help) console.log(USAGE);
else {
  const folder = mkdtempSync(join(tmpdir(), 'genesis-alerts-'));
  const code = await main(folder).catch((error: unknown) => {
    console.error(error);
    return 1;
  });
  if (code === 0 && !options.keep) rmSync(folder, { recursive: true, force: true });
  else console.log(`logs: ${folder}`);
  process.exit(code);
}
