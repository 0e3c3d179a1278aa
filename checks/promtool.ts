import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Programs of Prometheus, ready to be started. */
export interface PrometheusTools {
  /** Path. */
  readonly promtool: string;
  /** Path. */
  readonly prometheus: string;
}

/** What a program said that has ended. `status` is null if a signal ended it. */
export interface Told {
  readonly status: number | null;
  readonly output: string;
}

const ROOT = join(import.meta.dirname, '..');
const CACHE = join(ROOT, '.genesis', 'prometheus');
const INSTALL =
  'promtool and prometheus are not in PATH, and could not be fetched as the Debian package "prometheus". Install them (Debian, Ubuntu: apt-get install prometheus; macOS: brew install prometheus; others: prometheus.io/download) so that both are in PATH';

let found: PrometheusTools | undefined;

/**
 * promtool and prometheus: from PATH, else from Debian's package, which is unpacked into .genesis/prometheus and not installed: nothing
 * is started, no root is needed. Takes a few seconds the first time. Null where there are none; where the environment says CI it is an
 * error then, for a check that is left out must not look like one that passed.
 * @throws Error with what to install
 */
export function prometheusTools(): PrometheusTools | null {
  found ??= inPath() ?? inFolder(CACHE) ?? fetched() ?? undefined;
  if (found !== undefined) return found;
  if (process.env['CI'] === 'true') throw new Error(`${INSTALL}.`);
  console.warn(`LEFT OUT: ${INSTALL}.`);
  return null;
}

/** Runs promtool to its end. Null: there is none. @throws as prometheusTools does */
export function promtool(args: readonly string[], input = ''): Told | null {
  const tools = prometheusTools();
  return tools === null ? null : run(tools.promtool, args, { input });
}

interface RunOptions {
  readonly input?: string;
  readonly cwd?: string;
}

function run(command: string, args: readonly string[], { input = '', cwd = ROOT }: RunOptions = {}): Told {
  const { error, status, stdout, stderr } = spawnSync(command, args, { input, cwd, encoding: 'utf8' });
  return error === undefined
    ? { status, output: `${stdout}${stderr}` }
    : { status: 127, output: `${command}: ${error.message}` };
}

function inPath(): PrometheusTools | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const pathOf = (name: string) => folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  const [tool, server] = [pathOf('promtool'), pathOf('prometheus')];
  return tool === undefined || server === undefined ? null : { promtool: tool, prometheus: server };
}

function inFolder(folder: string): PrometheusTools | null {
  const tools = { promtool: join(folder, 'usr/bin/promtool'), prometheus: join(folder, 'usr/bin/prometheus') };
  return existsSync(tools.promtool) && existsSync(tools.prometheus) ? tools : null;
}

/** Beside and then moved: several who fetch it at once don't disturb each other, and a half is not taken for a whole. */
function fetched(): PrometheusTools | null {
  mkdirSync(join(ROOT, '.genesis'), { recursive: true });
  const folder = mkdtempSync(`${CACHE}-`);
  try {
    if (!download(folder)) return null;
    const [archive] = globSync('prometheus_*.deb', { cwd: folder });
    if (archive === undefined || run('dpkg', ['-x', archive, '.'], { cwd: folder }).status !== 0) return null;
    rmSync(join(folder, archive));
    if (run(join(folder, 'usr/bin/promtool'), ['--version']).status !== 0) return null;
    try {
      renameSync(folder, CACHE);
    } catch {
      // Somebody else was faster.
    }
    return inFolder(CACHE);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** By the machine's own lists of packages; where it has none (a fresh container), by lists of our own. */
function download(folder: string): boolean {
  const apt = (args: readonly string[]) => run('apt-get', ['-q', ...args], { cwd: folder }).status === 0;
  const asWeAre = ['-o', 'APT::Sandbox::User='];
  if (apt([...asWeAre, 'download', 'prometheus'])) return true;
  for (const part of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(folder, part), { recursive: true });
  const own = ['-o', `Dir::State::Lists=${join(folder, 'lists')}`, '-o', `Dir::Cache=${join(folder, 'cache')}`];
  // Who is not root is told of a failure by hooks that tidy up; whether there are lists now is what counts.
  apt([...asWeAre, ...own, 'update']);
  return apt([...asWeAre, ...own, 'download', 'prometheus']);
}

/** Configuration, rules, and what the rules do with series that were made up: promtool looks at all of it. */
export function checkPrometheus(): readonly (Told & { readonly check: string })[] | null {
  const folder = join(ROOT, 'deploy', 'prometheus');
  const within = (pattern: string) =>
    globSync(pattern, { cwd: folder })
      .toSorted()
      .map((path) => join(folder, path));
  const checks = [
    ['check', 'config', join(folder, 'prometheus.yml')],
    ['check', 'rules', ...within('rules/*.yml')],
    ...within('tests/*.test.yml').map((path) => ['test', 'rules', path]),
  ];
  if (prometheusTools() === null) return null;
  return checks.map((args) => {
    const check = args.slice(0, 2).join(' ') + (args[0] === 'test' ? ` ${args[2]?.slice(folder.length + 1)}` : '');
    return { check, ...(promtool(args) ?? { status: 127, output: '' }) };
  });
}

if (import.meta.main) {
  for (const { check, status, output } of checkPrometheus() ?? []) {
    console.log(`${check}: ${status === 0 ? 'well' : `FAILED\n${output}`}`);
    if (status !== 0) process.exitCode = 1;
  }
}
