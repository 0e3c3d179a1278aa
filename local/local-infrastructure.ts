import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { join } from 'node:path';
import type { DataFolder } from './data-folder.ts';
import { makeDataFolder } from './data-folder.ts';
import type { Endpoints, KeeperMessage, KeeperOptions, ParentMessage } from './keeper-protocol.ts';
import { explained, LocalInfrastructureError } from './local-infrastructure-error.ts';
import { openLog, within } from './processes.ts';

export { runningEndpoints } from './running-endpoints.ts';
export { ensureDatabase } from './ensure-database.ts';
export { LocalInfrastructureError } from './local-infrastructure-error.ts';

export interface LocalInfrastructureOptions {
  /** Made if missing. One running infrastructure per folder; its data, ports and password survive restarts. */
  readonly dataDir: string;
  /** Undefined: a free one, the same again at the next start if it is still free. */
  readonly postgresPort?: number | undefined;
  readonly kafkaPort?: number | undefined;
  /** Default true. False lets PostgreSQL lose data when the machine (not the process) fails: for tests. */
  readonly durable?: boolean | undefined;
  /** Called with one line for each step that takes noticeable time. */
  readonly progress?: ((line: string) => void) | undefined;
  /** Calls the start off, e.g. at Ctrl-C during the first run's download. Without effect once started. */
  readonly signal?: AbortSignal | undefined;
}

export interface LocalInfrastructure {
  readonly postgres: {
    /** A superuser's, database `postgres`. */
    readonly url: string;
    readonly port: number;
  };
  readonly kafka: {
    /** host:port */
    readonly brokers: string[];
  };
  /** Resolves, never rejects, when something died that should run: the error says what, with the end of its log. */
  readonly failed: Promise<Error>;
  /** Resolves when everything has ended, within about 10 s at worst. May be called at any time and more than once. */
  stop(): Promise<void>;
}

/** Beyond all that the keeper grants its servers, milliseconds. */
const STOP_LIMIT = 20_000;

/**
 * Starts PostgreSQL and Kafka of our own on 127.0.0.1, fetching and creating what isn't there yet.
 *
 * They end with `stop`, and with this process however it ends.
 *
 * @throws LocalInfrastructureError whose message is the sentence to show; the signal's reason if it was called off.
 *   Nothing is left running then.
 */
export async function startLocalInfrastructure(options: LocalInfrastructureOptions): Promise<LocalInfrastructure> {
  options.signal?.throwIfAborted();
  const folder = prepareFolder(options.dataDir);
  const keeper = launchKeeper(folder);
  const ended = new Promise<void>((resolve) => {
    keeper.once('exit', () => resolve());
    // It could not even be started.
    keeper.once('error', () => resolve());
  });
  const asked = new AbortController();
  const stop = async (): Promise<void> => {
    asked.abort();
    say(keeper, { type: 'stop' });
    keeper.ref();
    if (
      (await within(
        ended.then(() => true),
        STOP_LIMIT,
      )) === undefined
    )
      keeper.kill('SIGKILL');
    await ended;
  };
  const callOff = (): void => void stop();
  options.signal?.addEventListener('abort', callOff, { once: true });
  try {
    say(keeper, { type: 'start', options: keeperOptions(folder, options) });
    const endpoints = await untilRunning(keeper, folder, ended, options);
    const failed = untilFailed(keeper, folder, ended, asked.signal);
    // Our servers are no reason for this process to go on.
    keeper.unref();
    keeper.channel?.unref();
    return {
      postgres: { url: endpoints.postgresUrl, port: endpoints.postgresPort },
      kafka: { brokers: [...endpoints.brokers] },
      failed,
      stop,
    };
  } catch (error) {
    await stop();
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', callOff);
  }
}

function prepareFolder(dataDir: string): DataFolder {
  try {
    return makeDataFolder(dataDir);
  } catch (error) {
    throw explained(error, dataDir);
  }
}

function keeperLog(folder: DataFolder): string {
  return join(folder.logs, 'keeper.log');
}

function launchKeeper(folder: DataFolder): ChildProcess {
  let log: number;
  try {
    log = openLog(keeperLog(folder));
  } catch (error) {
    throw explained(error, folder.root);
  }
  try {
    // Options for the parent (--inspect, --import …) are none for the keeper.
    const { NODE_OPTIONS: _, ...env } = process.env;
    return spawn(process.execPath, [join(import.meta.dirname, 'keeper.ts')], {
      detached: true,
      cwd: '/',
      env,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

function keeperOptions(folder: DataFolder, options: LocalInfrastructureOptions): KeeperOptions {
  const { postgresPort, kafkaPort, durable = true } = options;
  return {
    dataDir: folder.root,
    durable,
    ...(postgresPort === undefined ? {} : { postgresPort }),
    ...(kafkaPort === undefined ? {} : { kafkaPort }),
  };
}

function say(keeper: ChildProcess, message: ParentMessage): void {
  if (keeper.connected) keeper.send(message, () => undefined);
}

function untilRunning(
  keeper: ChildProcess,
  folder: DataFolder,
  ended: Promise<void>,
  options: LocalInfrastructureOptions,
): Promise<Endpoints> {
  return new Promise((resolve, reject) => {
    keeper.on('message', (message: KeeperMessage) => {
      if (message.type === 'progress') options.progress?.(message.line);
      else if (message.type === 'running') resolve(message);
      else if (message.type === 'refused') reject(refusal(message, folder));
    });
    void ended.then(() => reject(keeperGone(folder)));
  });
}

function refusal(message: { sentence: string; expected: boolean }, folder: DataFolder): LocalInfrastructureError {
  return new LocalInfrastructureError(
    message.expected ? message.sentence : `${message.sentence} (a defect; more is in ${keeperLog(folder)})`,
  );
}

function keeperGone(folder: DataFolder): LocalInfrastructureError {
  return new LocalInfrastructureError(
    `The process that keeps PostgreSQL and Kafka ended unexpectedly (its log is ${keeperLog(folder)}): start again.`,
  );
}

function untilFailed(
  keeper: ChildProcess,
  folder: DataFolder,
  ended: Promise<void>,
  asked: AbortSignal,
): Promise<Error> {
  return new Promise((resolve) => {
    const fail = (error: Error): void => {
      if (!asked.aborted) resolve(error);
    };
    keeper.on('message', (message: KeeperMessage) => {
      if (message.type === 'died') fail(new LocalInfrastructureError(message.sentence));
    });
    void ended.then(() => fail(keeperGone(folder)));
  });
}
