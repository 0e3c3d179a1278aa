import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { TokenKeys } from '../config.ts';
import { createDevelopmentToken } from '../http/development-token.ts';
import { backoffDelay } from '../backoff.ts';
import { pause } from '../relay/pause.ts';
import type { Service } from '../service.ts';
import type { Parts } from './parts.ts';

const AGENT = fileURLToPath(new URL('../../examples/concept-agent/main.ts', import.meta.url));
/** The `sub` of its token. */
const USER = 'concept-agent';
/** Seconds that its token is valid: longer than anybody runs a demonstration. */
const VALIDITY = 365 * 86_400;
/** Milliseconds before it is started again after it died. */
const BACKOFF = { first: 500, most: 30_000 };
/** Milliseconds after which a run counts as a good one. */
const GOOD_RUN = 60_000;
/** Milliseconds that it may take to stop before it is killed: nothing is lost by that. */
const STOP_GRACE = 5_000;

/**
 * Starts the example agent beside API and relay, so that in a demonstration somebody answers requests. Only where this program
 * runs its own PostgreSQL and Kafka, and unless AGENT_DELAY says `off`.
 */
export async function startDemoAgent(parts: Parts, api: string | null, keys: TokenKeys): Promise<void> {
  const { config, infrastructure, lifecycle, logger } = parts;
  const { delay } = config.agent;
  const wanted = delay !== null && infrastructure.origin === 'own' && config.serviceType === 'all';
  if (!wanted || api === null || keys.kind !== 'secret') return;
  const { issuer, audience, rolesClaim } = config.tokenRules;
  const token = await createDevelopmentToken({
    secret: keys.secret,
    user: USER,
    roles: ['agent'],
    rolesClaim,
    expiresIn: VALIDITY,
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience }),
  });
  await lifecycle.start(
    new DemoAgent(parts, {
      GENESIS_API: api,
      KAFKA_BROKERS: infrastructure.kafka.brokers.join(','),
      KAFKA_TOPIC: infrastructure.kafka.topic,
      AGENT_TOKEN: token,
      AGENT_DELAY: String(delay / 1_000),
      LOG_LEVEL: config.logLevel,
      // The other OTEL_… are inherited: its spans go where ours go, under a name of their own.
      OTEL_SERVICE_NAME: 'concept-agent',
    }),
  );
  logger.info(
    { seconds: delay / 1_000 },
    'an example agent answers requests for concepts; AGENT_DELAY=off turns it off',
  );
}

/** The agent as a process of its own, as a client's would be: it knows nothing but HTTP and Kafka. */
class DemoAgent implements Service {
  readonly name = 'demo-agent';
  readonly #logger: Parts['logger'];
  readonly #env: NodeJS.ProcessEnv;
  readonly #stopping = new AbortController();
  #child: ChildProcess | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor({ logger }: Parts, env: NodeJS.ProcessEnv) {
    this.#logger = logger;
    this.#env = { ...process.env, ...env };
  }

  start(): Promise<void> {
    this.#running = this.#keepRunning();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const child = this.#child;
    child?.kill('SIGTERM');
    const late = setTimeout(() => child?.kill('SIGKILL'), STOP_GRACE);
    await this.#running;
    clearTimeout(late);
  }

  async #keepRunning(): Promise<void> {
    const { signal } = this.#stopping;
    for (let deaths = 1; !signal.aborted; deaths += 1) {
      const began = performance.now();
      const how = await this.#runOnce();
      if (signal.aborted) return;
      if (performance.now() - began > GOOD_RUN) deaths = 1;
      this.#logger.warn({ how }, 'the example agent ended; starting it again');
      await pause(backoffDelay(deaths, BACKOFF), signal);
    }
  }

  /** Resolves with how it ended. */
  async #runOnce(): Promise<string> {
    // A group of its own: Ctrl-C in a terminal reaches this process, which then stops it. If this process is killed, the
    // closed channel tells it to stop.
    const child = spawn(process.execPath, [AGENT], {
      env: this.#env,
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child = child;
    this.#logger.debug({ process: child.pid }, 'started the example agent');
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.#relay(line));
    try {
      const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
      return signal ?? `exit code ${code}`;
    } catch (error) {
      return String(error);
    } finally {
      this.#child = null;
    }
  }

  /** Its log lines become ours. */
  #relay(line: string): void {
    const { level, msg, time: _time, pid: _pid, hostname: _hostname, ...about } = parse(line);
    this.#logger[LEVELS[String(level)] ?? 'info'](about, `agent: ${String(msg)}`);
  }
}

const LEVELS: Readonly<Record<string, 'debug' | 'info' | 'warn' | 'error'>> = {
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'error',
};

function parse(line: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(line) as Readonly<Record<string, unknown>>;
  } catch {
    return { msg: line };
  }
}
