import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { GroupCommit } from '../src/commands/group-commit.ts';
import type { Actor, CommandOutcome, CommandStore } from '../src/commands/ports.ts';
import { GenesisError } from '../src/errors.ts';
import type { Command } from '../src/genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../src/genesis/ids.ts';
import { STAGES } from '../src/genesis/session.ts';
import { createCommandStore } from '../src/postgres/command-store.ts';
import { createPool } from '../src/postgres/pool.ts';
import { createRead } from '../src/postgres/read.ts';
import { createCommitNotifier } from '../src/postgres/wakeup.ts';
import type { ClientEntry } from './judge/evidence.ts';
import type { Random } from './random.ts';
import type { ClientSession } from './client-session.ts';
import { chooseCommand, type Draft } from './workload-commands.ts';

export interface WorkloadOptions {
  readonly databaseUrl: string;
  readonly topic: string;
  /** Partitions of the topic. */
  readonly shards: number;
  readonly random: Random;
  /** The client's own log. */
  readonly onAnswer: (entry: ClientEntry) => void;
}

export interface LoadOptions {
  /** Commands per second, offered whether or not they are answered. */
  readonly rate: number;
  /** Clients at a time. Default 12. */
  readonly writers?: number;
  /** Sessions that live at a time. Default 200. */
  readonly sessions?: number;
  /** Of these so many get half of all commands. Default 8. */
  readonly hot?: number;
}

const QUEUE_TIMEOUT = 2_000;
const TRANSACTION_TIMEOUT = 2_500;
const KEPT_DEFECTS = 5;
const LATE_SHARE = 0.2;
const LATE_MOST = 150;
/** A client that was held up catches up on so many milliseconds of commands, not on minutes. */
const CATCH_UP = 1_000;

/** Clients that send commands on the real write path, and write down what they were told. */
export class Workload {
  readonly #options: WorkloadOptions;
  readonly #pool: Pool;
  /** As two API processes: one that is quick, one whose transactions often end late, when later ids are long visible. */
  readonly #replicas: readonly [GroupCommit, GroupCommit];
  readonly #sessions: ClientSession[] = [];
  /** Errors that no client should ever see, a few of them. */
  readonly defects: string[] = [];
  #load: { readonly stopping: AbortController; readonly ended: Promise<unknown> } | null = null;

  constructor(options: WorkloadOptions) {
    this.#options = options;
    const logger = pino({ level: 'silent' });
    this.#pool = createPool({ url: options.databaseUrl, poolSize: 6 }, 'faults-workload', logger);
    const notify = createCommitNotifier(createRead(this.#pool, QUEUE_TIMEOUT), logger);
    const settings = {
      destination: { topic: options.topic, shards: options.shards },
      generationTimeout: 600_000,
      newId: () => uuidv7(),
      batchMax: 64,
      transactionsMax: 2,
      queueMax: 2_000,
      queueTimeout: QUEUE_TIMEOUT,
      transactionTimeout: TRANSACTION_TIMEOUT,
    };
    const store = createCommandStore(this.#pool);
    this.#replicas = [
      new GroupCommit(store, settings, logger, notify),
      new GroupCommit(lateCommits(store, options.random.fork('late commits')), settings, logger, notify),
    ];
  }

  /** Begins to send. */
  async start({ rate, writers = 12, sessions = 200, hot = 8 }: LoadOptions): Promise<void> {
    if (this.#load !== null) throw new Error('the load runs already');
    for (const replica of this.#replicas) await replica.start();
    const stopping = new AbortController();
    const slots = { next: performance.now(), gap: 1_000 / rate };
    const ended = Promise.all(
      Array.from({ length: writers }, async (_, index) => {
        const random = this.#options.random.fork(`writer ${index} after ${this.#sessions.length}`);
        while (!stopping.signal.aborted) {
          const now = performance.now();
          slots.next = Math.max(slots.next, now - CATCH_UP) + slots.gap;
          const wait = slots.next - now;
          if (wait > 1) await sleep(wait, undefined, { signal: stopping.signal }).catch(() => {});
          if (!stopping.signal.aborted) await this.#step(random, sessions, hot);
        }
      }),
    );
    this.#load = { stopping, ended };
  }

  /** No further commands; resolves when all that were sent are answered. */
  async stop(): Promise<void> {
    const load = this.#load;
    this.#load = null;
    load?.stopping.abort();
    await load?.ended;
  }

  /** So many commands at once, besides those of the load, which must run: a backlog. Resolves when all are answered. */
  async burst(count: number): Promise<void> {
    const random = this.#options.random.fork(`burst after ${this.#sessions.length}`);
    const sessions = this.#sessions.length;
    await Promise.all(Array.from({ length: count }, () => this.#step(random, sessions, sessions)));
  }

  /** A session of its own, with which the load does nothing. @throws when it is not accepted */
  async createSession(): Promise<ClientSession> {
    for (const replica of this.#replicas) await replica.start();
    const session = newSession(this.#options.random);
    const outcome = await this.send(session, { type: 'CreateSession', payload: { title: 'by itself' } });
    if (outcome?.kind !== 'accepted') throw new Error(`no session could be created: ${JSON.stringify(outcome)}`);
    return session;
  }

  /** One command, written down; undefined when its outcome is unknown or nothing was written. */
  async send(session: ClientSession, command: Command, actor: Actor = authorOf(session)) {
    const commandId = uuidv7() as CommandId;
    const outcome = await this.#execute(commandId, session, command, actor);
    if (outcome?.kind === 'accepted' && command.type === 'RequestConceptGeneration') session.request = commandId;
    return outcome;
  }

  async close(): Promise<void> {
    await this.stop();
    for (const replica of this.#replicas) await replica.stop();
    await this.#pool.end();
  }

  async #step(random: Random, most: number, hot: number): Promise<void> {
    if (this.#sessions.length < most) {
      const session = newSession(random);
      const outcome = await this.send(session, {
        type: 'CreateSession',
        payload: { title: 'A novel', idea: 'Once …' },
      });
      if (outcome?.kind === 'accepted') this.#sessions.push(session);
      return;
    }
    const at = random.chance(0.5) ? random.between(0, hot - 1) : random.between(0, this.#sessions.length - 1);
    const session = this.#sessions[at];
    if (session === undefined) return;
    const draft = chooseCommand(random, session);
    const outcome = await this.send(session, draft.command, draft.actor ?? authorOf(session));
    this.#remember(session, draft, outcome);
  }

  #remember(session: ClientSession, { command }: Draft, outcome: CommandOutcome | undefined): void {
    if (outcome === undefined) return;
    const closed = outcome.kind === 'refused' && outcome.refusal.code === 'SESSION_CLOSED';
    if (outcome.kind === 'accepted' && command.type === 'ConfirmStage') session.confirmed += 1;
    if (command.type === 'ProposeConcepts') session.request = null;
    if (closed || command.type === 'AbandonSession' || session.confirmed === STAGES.length) {
      const at = this.#sessions.indexOf(session);
      if (at >= 0) this.#sessions.splice(at, 1);
    }
  }

  #replica(): GroupCommit {
    return this.#replicas[this.#options.random.chance(0.5) ? 0 : 1];
  }

  async #execute(commandId: CommandId, { id }: ClientSession, command: Command, actor: Actor) {
    const entry = { commandId, sessionId: id };
    try {
      const outcome = await this.#replica().execute({
        commandId,
        sessionId: id,
        actor,
        command,
        idempotencyKey: null,
        expectedVersion: null,
        traceparent: null,
      });
      const accepted = outcome.kind === 'accepted';
      const version = accepted ? outcome.answer.version : null;
      this.#options.onAnswer({ ...entry, outcome: accepted ? 'accepted' : 'refused', version });
      return outcome;
    } catch (error) {
      if (!(error instanceof GenesisError) && this.defects.length < KEPT_DEFECTS) this.defects.push(String(error));
      const nothingWritten = error instanceof GenesisError && error.code !== 'OUTCOME_UNKNOWN';
      this.#options.onAnswer({ ...entry, outcome: nothingWritten ? 'refused' : 'unknown', version: null });
      return undefined;
    }
  }
}

/** Some transactions wait before their COMMIT, with all their rows written. */
function lateCommits(store: CommandStore, random: Random): CommandStore {
  return {
    transaction: (work, timeLimit) =>
      store.transaction(async (transaction) => {
        const result = await work(transaction);
        if (random.chance(LATE_SHARE)) await sleep(random.between(1, LATE_MOST));
        return result;
      }, timeLimit),
  };
}

function authorOf({ userId }: ClientSession): Actor {
  return { userId, role: 'author' };
}

function newSession(random: Random): ClientSession {
  return {
    id: uuidv7() as SessionId,
    userId: `user-${random.between(1, 1_000)}` as UserId,
    request: null,
    confirmed: 0,
  };
}
