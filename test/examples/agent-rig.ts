import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { expect, vi } from 'vitest';
import { createDevelopmentToken } from '../../src/http/development-token.ts';
import { SECRET, SESSIONS } from '../http/api-harness.ts';

const ROOT = join(import.meta.dirname, '../..');
/** Milliseconds that a condition may take on a busy machine. */
const PATIENCE = 60_000;

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [member: string]: unknown;
}

/** A program of this project as a child process, with its log. */
export class Program {
  readonly lines: LogLine[] = [];
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.#child = spawn(process.execPath, [...args], {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#exit = once(this.#child, 'exit');
    if (this.#child.stdout === null) throw new Error('no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.lines.push(JSON.parse(line) as LogLine);
    });
  }

  /** Waits for a line of the log that contains these words. */
  async said(words: string): Promise<LogLine> {
    return vi.waitFor(() => {
      const line = this.lines.find(({ msg }) => msg.includes(words));
      if (line !== undefined) return line;
      throw new Error(`did not say '${words}' but: ${JSON.stringify(this.lines.slice(-5))}`);
    }, PATIENCE);
  }

  /** Ends it; resolves with its exit code. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
    await this.#exit;
    return this.#child.exitCode;
  }
}

export interface RigOptions {
  readonly databaseUrl: string;
  readonly brokers: readonly string[];
  readonly topic: string;
  /** Seconds. */
  readonly generationTimeout?: number;
}

interface CommandRow {
  readonly id: string;
  readonly status: string;
  readonly error_message: string | null;
}

/** API and relay as one process, agents as others, and an author. */
export class Rig {
  readonly #options: RigOptions;
  readonly #dataDir = mkdtempSync(join(tmpdir(), 'genesis-agent-'));
  readonly #programs: Program[] = [];
  readonly #pool: pg.Pool;
  #genesis: Program | null = null;
  #api = '';

  constructor(options: RigOptions) {
    this.#options = options;
    this.#pool = new pg.Pool({ connectionString: options.databaseUrl, max: 2 });
    this.#pool.on('error', () => undefined);
  }

  /** Starts API and relay; again at the same address if they ran before. */
  async startGenesis(): Promise<void> {
    const { databaseUrl, brokers, topic, generationTimeout = 600 } = this.#options;
    this.#genesis = this.#start(['src/bin/main.ts', 'start'], {
      DATABASE_URL: databaseUrl,
      KAFKA_BROKERS: brokers.join(','),
      KAFKA_TOPIC: topic,
      KAFKA_REPLICATION: '1',
      JWT_SECRET: SECRET,
      PORT: this.#api === '' ? '0' : new URL(this.#api).port,
      GENERATION_TIMEOUT: String(generationTimeout),
      // One author asks for all.
      RATE_LIMIT_PER_USER: '0',
      LOCAL_DATA_DIR: this.#dataDir,
    });
    const { api } = await this.#genesis.said('ready');
    this.#api = String(api);
  }

  async stopGenesis(): Promise<void> {
    await this.#genesis?.stop();
  }

  async startAgent(env: Readonly<Record<string, string>> = {}): Promise<Program> {
    const token = await createDevelopmentToken({ secret: SECRET, user: 'bot', roles: ['agent'], expiresIn: 3_600 });
    return this.#start(['examples/concept-agent/main.ts'], {
      GENESIS_API: this.#api,
      KAFKA_BROKERS: this.#options.brokers.join(','),
      KAFKA_TOPIC: this.#options.topic,
      AGENT_TOKEN: token,
      AGENT_DELAY: '0',
      LOG_LEVEL: 'debug',
      ...env,
    });
  }

  /** A session of ada's. */
  async createSession(): Promise<string> {
    const { status, body } = await this.#post(SESSIONS, { title: '三体之外' });
    expect(status).toBe(201);
    return String(body['session_id']);
  }

  requestConcepts(sessionId: string): Promise<{ status: number; body: Readonly<Record<string, unknown>> }> {
    return this.#post(`${SESSIONS}/${sessionId}/commands`, {
      command_type: 'RequestConceptGeneration',
      payload: { theme_preferences: ['科幻'], style_preferences: ['快节奏'] },
    });
  }

  async updateSession(sessionId: string): Promise<void> {
    const command = { command_type: 'UpdateSession', payload: { title: '球状闪电之外' } };
    expect(await this.#post(`${SESSIONS}/${sessionId}/commands`, command)).toMatchObject({ status: 200 });
  }

  /** A session whose request waits for its answer. */
  async ask(): Promise<string> {
    const sessionId = await this.createSession();
    expect(await this.requestConcepts(sessionId)).toMatchObject({ status: 202 });
    return sessionId;
  }

  /** The request of the session, as it stands in the inbox. */
  async requestOf(sessionId: string): Promise<CommandRow> {
    const { rows } = await this.#pool.query<CommandRow>(
      `SELECT id, status, error_message FROM command_inbox WHERE session_id = $1 AND command_type = 'RequestConceptGeneration'`,
      [sessionId],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('no request');
    return row;
  }

  /** Types of the session's events after its creation. */
  async eventsOf(sessionId: string): Promise<readonly string[]> {
    const { rows } = await this.#pool.query<{ event_type: string }>(
      'SELECT event_type FROM domain_events WHERE aggregate_id = $1 AND aggregate_version > 1 ORDER BY aggregate_version',
      [sessionId],
    );
    return rows.map(({ event_type }) => event_type.replace('Genesis.Session.', ''));
  }

  /** Waits until exactly these events, all of them published, follow the creation of the session. */
  async hasEvents(sessionId: string, ...events: readonly string[]): Promise<void> {
    await vi.waitFor(async () => {
      expect(await this.eventsOf(sessionId)).toEqual(events);
      const { rows } = await this.#pool.query(`SELECT 1 FROM event_outbox WHERE key = $1 AND status <> 'SENT'`, [
        sessionId,
      ]);
      expect(rows).toEqual([]);
    }, PATIENCE);
  }

  async stop(): Promise<void> {
    for (const program of this.#programs.toReversed()) await program.stop();
    await this.#pool.end();
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  #start(args: readonly string[], env: Readonly<Record<string, string>>): Program {
    const program = new Program(args, env);
    this.#programs.push(program);
    return program;
  }

  async #post(path: string, body: object) {
    const token = await createDevelopmentToken({ secret: SECRET, user: 'ada', roles: [], expiresIn: 3_600 });
    const response = await fetch(this.#api + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> };
  }
}
