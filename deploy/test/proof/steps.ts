import { Author } from './author.ts';
import { PROMETHEUS_PORT, type ComposeProject, type Container } from './project.ts';
import { assure, runTool, until } from './run-tool.ts';

interface Shards {
  readonly shards: readonly { readonly owner: { readonly name: string } | null }[];
  readonly relays: readonly { readonly name: string; readonly alive: boolean }[];
}

const EXAMPLE = { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏', '第一人称'] };
const TOPIC = 'domain-events';
/** Seconds that the program allows itself to stop (STOP_GRACE). */
const STOP_LIMIT = 9;

/** Runs a `genesis` command in a container. */
export function genesis(container: Container, ...args: readonly string[]): Promise<string> {
  return runTool('docker', ['exec', container.id, 'genesis', ...args]);
}

/** The README's example: a session, a command that is answered later, the agent's answer; all three events in Kafka, in order. */
export async function example(project: ComposeProject, api: Container): Promise<string> {
  const author = await Author.signIn(api, 'ada');
  const agent = await Author.signIn(api, 'agent', ['agent']);
  const session = await author.createSession('星海');
  const asked = await author.send(session, 'RequestConceptGeneration', EXAMPLE);
  const { command_id: command } = asked.body;
  assure(asked.status === 202 && asked.body.status === 'PROCESSING', `the command was answered ${asked.status}`);
  const again = await author.send(session, 'RequestConceptGeneration', EXAMPLE);
  assure(
    again.status === 409 && again.body.duplicate_command_id === command,
    `the same again must be refused, naming the first: ${again.status} ${JSON.stringify(again.body)}`,
  );
  const [place] = await author.untilSent(session, command);
  const concepts = [{ title: '星海', summary: '一艘船的最后一次远航' }];
  const answered = await agent.send(session, 'ProposeConcepts', { request_id: command, concepts });
  assure(answered.status === 200, `the agent was answered ${answered.status}: ${JSON.stringify(answered.body)}`);
  await author.untilSent(session, answered.body.command_id);
  const expected = ['Created', 'Requested', 'Proposed'].map((action) => `Genesis.Session.${action}`);
  const types = await until(
    'the events of the session in Kafka',
    async () => {
      const found = await recordsOf(project, session);
      return found.length >= expected.length ? found : null;
    },
    180_000,
  );
  assure(
    types.join() === expected.join(),
    `Kafka must hold ${expected.join(', ')} of the session: ${types.join(', ')}`,
  );
  return `201, 202, 409, SENT at partition ${place?.partition ?? '?'} offset ${place?.offset ?? '?'}, agent 200; in Kafka ${types.join(', ')}`;
}

/** The types of a session's events as Kafka's own consumer shows them. */
async function recordsOf(project: ComposeProject, session: string): Promise<readonly string[]> {
  const [kafka] = await project.containers('kafka');
  if (kafka === undefined) throw new Error('Kafka does not run');
  const consumer = ['/opt/kafka/bin/kafka-console-consumer.sh', '--bootstrap-server', 'localhost:9092'];
  const what = ['--topic', TOPIC, '--from-beginning', '--timeout-ms', '10000'];
  const text = await runTool('docker', ['exec', kafka.id, ...consumer, ...what]);
  const records = text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { readonly aggregate_id: string; readonly event_type: string });
  return records.filter(({ aggregate_id: id }) => id === session).map(({ event_type: type }) => type);
}

/** Waits until exactly the relays of `containers` own all shards, each some. @returns Seconds that it took. */
export async function untilShared(api: Container, containers: readonly Container[]): Promise<number> {
  const began = performance.now();
  const expected = containers.map(({ id }) => id.slice(0, 12)).toSorted();
  await until(`the shards belong to ${containers.map(({ name }) => name).join(', ')}`, async () => {
    const { shards } = JSON.parse(await genesis(api, 'shards', '--json')) as Shards;
    const owners = shards.map(({ owner }) => owner?.name.split(':')[0] ?? 'nobody');
    return [...new Set(owners)].toSorted().join() === expected.join() ? owners : null;
  });
  return (performance.now() - began) / 1_000;
}

/** Waits until Prometheus has scraped as many replicas as there are. */
export async function untilScraped(expected: Readonly<Record<string, number>>): Promise<string> {
  const query = encodeURIComponent('sum by (job) (up)');
  const wanted = Object.entries(expected)
    .map(([job, count]) => `${job} ${count}`)
    .toSorted()
    .join(', ');
  return until(`Prometheus scrapes ${wanted}`, async () => {
    const response = await fetch(`http://127.0.0.1:${PROMETHEUS_PORT}/api/v1/query?query=${query}`);
    const { data } = (await response.json()) as Scraped;
    const found = data.result.map(({ metric, value }) => `${metric.job} ${value[1]}`);
    return found.toSorted().join(', ') === wanted ? wanted : null;
  });
}

interface Scraped {
  readonly data: {
    readonly result: readonly {
      readonly metric: { readonly job: string };
      readonly value: readonly [number, string];
    }[];
  };
}

export interface Load {
  /** Accepted commands so far. */
  count(): number;
  /** Ends it and waits until all events are in Kafka. @throws Error if a command was refused */
  end(): Promise<number>;
}

/** Feedback for sessions of their own, as fast as it is answered, by all replicas. */
export async function startLoad(apis: readonly Container[]): Promise<Load> {
  const authors = await Promise.all(apis.map((api, index) => Author.signIn(api, `author-${index}`)));
  const pairs = await Promise.all(
    authors.flatMap((author) =>
      Array.from({ length: 5 }, async () => ({ author, session: await author.createSession('load'), last: '' })),
    ),
  );
  let count = 0;
  let ended = false;
  const work = pairs.map(async (pair) => {
    while (!ended) {
      const { status, body } = await pair.author.send(pair.session, 'SubmitFeedback', { feedback: 'go on' });
      if (status !== 200) throw new Error(`feedback was answered ${status}: ${JSON.stringify(body)}`);
      pair.last = body.command_id;
      count += 1;
    }
  });
  const all = Promise.all(work);
  all.catch(() => undefined);
  return {
    count: () => count,
    end: async () => {
      ended = true;
      await all;
      await Promise.all(pairs.map(({ author, session, last }) => author.untilSent(session, last)));
      return count;
    },
  };
}

/** `docker stop`: SIGTERM, and a clean end within the grace time. @returns Seconds that it took. */
export async function stopCleanly({ id, name }: Container): Promise<number> {
  const began = performance.now();
  await runTool('docker', ['stop', '--time', '30', id]);
  const seconds = (performance.now() - began) / 1_000;
  const code = (await runTool('docker', ['inspect', '--format', '{{.State.ExitCode}}', id])).trim();
  assure(code === '0', `${name} must end with 0 after SIGTERM, and ended with ${code}`);
  assure(seconds < STOP_LIMIT, `${name} took ${seconds.toFixed(1)} s to stop`);
  return seconds;
}
