import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { pino } from 'pino';
import { v7 as uuidv7 } from 'uuid';
import { GroupCommit } from '../../src/commands/group-commit.ts';
import { GenesisError } from '../../src/errors.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { CommandId, SessionId, UserId } from '../../src/genesis/ids.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { BY_INDEX, createPool, DEFAULT_LIMITS } from '../../src/postgres/pool.ts';
import { createRead } from '../../src/postgres/read.ts';
import { createCommitNotifier } from '../../src/postgres/wakeup.ts';

export interface ClientsOptions {
  readonly databaseUrl: string;
  readonly destination: { readonly topic: string; readonly shards: number };
  readonly onCommit: (session: string, version: number) => void;
}

const USER = 'ada' as UserId;
const FEEDBACK: Command = { type: 'SubmitFeedback', payload: { feedback: 'feedback '.repeat(30) } };
/** Milliseconds between two looks at how many commands are due. */
const TICK = 2;
const SETTINGS = {
  generationTimeout: 600_000,
  newId: () => uuidv7(),
  batchMax: 64,
  transactionsMax: 2,
  queueMax: 20_000,
  queueTimeout: 10_000,
  transactionTimeout: 10_000,
};

/** Clients that offer commands at a rate, whether or not they are answered, on the real write path without HTTP. */
export class Clients {
  readonly #pool: Pool;
  readonly #commands: GroupCommit;
  readonly #onCommit: ClientsOptions['onCommit'];
  readonly #pending = new Set<Promise<void>>();
  #sessions: readonly SessionId[] = [];
  #answered = 0;
  #refused = 0;

  constructor({ databaseUrl, destination, onCommit }: ClientsOptions) {
    const logger = pino({ level: 'silent' });
    this.#pool = createPool({ url: databaseUrl, poolSize: 5 }, 'bench', logger, DEFAULT_LIMITS, BY_INDEX);
    const notify = createCommitNotifier(createRead(this.#pool, 5_000), logger);
    this.#commands = new GroupCommit(createCommandStore(this.#pool), { ...SETTINGS, destination }, logger, notify);
    this.#onCommit = onCommit;
  }

  /** Commands that were accepted. */
  get answered(): number {
    return this.#answered;
  }

  /** Commands that found the machine too slow for the rate that was offered. */
  get refused(): number {
    return this.#refused;
  }

  /** Creates so many sessions. */
  async start(sessions: number): Promise<void> {
    await this.#commands.start();
    this.#sessions = Array.from({ length: sessions }, () => uuidv7() as SessionId);
    for (const session of this.#sessions) this.#send(session, { type: 'CreateSession', payload: { title: 'A novel' } });
    await Promise.all(this.#pending);
  }

  /** For so many milliseconds. Resolves when all are answered. */
  async offer(rate: number, milliseconds: number): Promise<void> {
    const began = performance.now();
    let sent = 0;
    for (let elapsed = 0; elapsed < milliseconds; elapsed = performance.now() - began) {
      for (const due = (elapsed * rate) / 1_000; sent < due; sent += 1) {
        const session = this.#sessions[Math.floor(Math.random() * this.#sessions.length)];
        if (session !== undefined) this.#send(session, FEEDBACK);
      }
      await sleep(TICK);
    }
    await Promise.all(this.#pending);
  }

  async close(): Promise<void> {
    await this.#commands.stop();
    await this.#pool.end();
  }

  #send(sessionId: SessionId, command: Command): void {
    const sent = this.#execute(sessionId, command).catch((error: unknown) => {
      if (!(error instanceof GenesisError)) throw error;
      this.#refused += 1;
    });
    this.#pending.add(sent);
    void sent.finally(() => this.#pending.delete(sent));
  }

  async #execute(sessionId: SessionId, command: Command): Promise<void> {
    const outcome = await this.#commands.execute({
      commandId: uuidv7() as CommandId,
      sessionId,
      actor: { userId: USER, role: 'author' },
      command,
      idempotencyKey: null,
      expectedVersion: null,
      traceparent: null,
    });
    if (outcome.kind !== 'accepted') throw new Error(`refused: ${JSON.stringify(outcome.refusal)}`);
    this.#answered += 1;
    this.#onCommit(sessionId, outcome.answer.version);
  }
}
