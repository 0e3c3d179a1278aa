import { parseArgs } from 'node:util';
import { buildImage, examineImage } from './proof/image.ts';
import { ComposeProject, type Container } from './proof/project.ts';
import { runTool } from './proof/run-tool.ts';
import { example, genesis, startLoad, stopCleanly, untilScraped, untilShared } from './proof/steps.ts';

// Proves deploy/Dockerfile and deploy/compose.yaml with a real Docker: builds, runs, scales, kills and stops. deploy/test/README.md.

const { values } = parseArgs({
  options: {
    image: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
  },
});

/** Runs one step and tells it with its time. */
async function step<T>(name: string, run: () => Promise<T>, tell: (result: T) => string): Promise<T> {
  const began = performance.now();
  const result = await run();
  console.log(`ok  ${name} (${((performance.now() - began) / 1_000).toFixed(1)} s): ${tell(result)}`);
  return result;
}

const seconds = (took: number): string => `${took.toFixed(1)} s`;

/** Everything that needs the services. */
async function proveServices(project: ComposeProject): Promise<void> {
  const [api] = await step(
    'compose up, from nothing to ready',
    async () => {
      await project.up({});
      await project.healthy('relay', 1);
      return project.healthy('api', 1);
    },
    () => 'database, broker, migration job, API and relay',
  );
  if (api === undefined) throw new Error('there is no API');
  await step('the example of the README', () => example(project, api), String);
  const [apis, relays] = await step(
    'scale to 2 API and 3 relays',
    () => scaleOut(project),
    (all) => all.map((some) => some.length).join(' and '),
  );
  await step('the relays share the shards', () => untilShared(api, relays), seconds);
  const scraped = { 'genesis-api': 2, 'genesis-relay': 3, 'genesis-reconcile': 1 };
  await step('Prometheus finds every replica', () => untilScraped(scraped), String);
  const rest = await killOne(api, apis, relays);
  await step('no event is lost, foreign or out of order', () => reconciled(api), String);
  await proveStops(project, apis, rest);
}

async function scaleOut(project: ComposeProject): Promise<readonly [readonly Container[], readonly Container[]]> {
  await project.up({ api: 2, relay: 3 });
  return [await project.healthy('api', 2), await project.healthy('relay', 3)];
}

/** Kills a relay under load. @returns The others. */
async function killOne(
  api: Container,
  apis: readonly Container[],
  [victim, ...rest]: readonly Container[],
): Promise<readonly Container[]> {
  if (victim === undefined) throw new Error('there is no relay');
  const load = await startLoad(apis);
  await step(
    'kill -9 of one relay under load',
    async () => {
      await runTool('docker', ['kill', '--signal', 'KILL', victim.id]);
      return untilShared(api, rest);
    },
    (took) => `the others own its shards after ${seconds(took)}`,
  );
  await step(
    'every accepted command is in Kafka',
    () => load.end(),
    (count) => `${count} commands`,
  );
  return rest;
}

async function reconciled(api: Container): Promise<string> {
  await genesis(api, 'verify');
  const told = await genesis(api, 'reconcile');
  return told.trim().split('\n').at(-1) ?? '';
}

async function proveStops(
  project: ComposeProject,
  apis: readonly Container[],
  relays: readonly Container[],
): Promise<void> {
  for (const container of [...apis, ...relays]) {
    await step(`SIGTERM to ${container.name}: exit code 0`, () => stopCleanly(container), seconds);
  }
  await step('the migration job again changes nothing', () => project.migrateAgain(), String);
}

async function main(): Promise<void> {
  const image = values.image === '' ? `genesis:proof-${process.pid}` : values.image;
  if (values.image === '')
    await step(
      'docker build',
      () => buildImage(image),
      () => image,
    );
  const project = await ComposeProject.open(
    `genesis-proof-${process.pid}`,
    process.env['GENESIS_COMPOSE'] ?? '',
    image,
  );
  try {
    await step('the image', () => examineImage(image), String);
    await step(
      'compose',
      () => project.version(),
      (version) => version.trim(),
    );
    await proveServices(project);
  } catch (error) {
    for (const service of ['migrate', 'api', 'relay']) console.error(await project.logs(service).catch(String));
    throw error;
  } finally {
    if (!values.keep) await cleanUp(project, image);
  }
}

async function cleanUp(project: ComposeProject, image: string): Promise<void> {
  await step(
    'compose down leaves nothing',
    async () => {
      await project.down();
      const left = await project.leftovers();
      if (left.length > 0) throw new Error(`compose down has left ${left.join(', ')}`);
    },
    () => 'containers, volumes and network are gone',
  );
  if (values.image === '') await runTool('docker', ['rmi', image]);
}

try {
  await main();
} catch (error) {
  console.error(`FAILED: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
