import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientEntry } from '../../faults/judge/evidence.ts';
import { createDevelopmentToken } from '../../src/http/development-token.ts';

export const SECRET = 'a secret of tests that is long enough for HS256';

export interface ClientsOptions {
  /** The replicas that take requests at this moment, as a load balancer knows them: one that has just ended may still be among them. */
  readonly replicas: () => readonly string[];
  /** What a client was told. */
  readonly onAnswer: (entry: ClientEntry) => void;
  /** Clients at a time, each with sessions of its own. Default 10. */
  readonly clients?: number;
  /** Commands per second of all together. Default 120. */
  readonly rate?: number;
}

export interface Answer {
  readonly status: number;
  /** The session's version; 0: the answer names none. */
  readonly etag: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Milliseconds in which some replica must have answered a command. */
const PATIENCE = 30_000;
const STAGES = ['CONCEPT_SELECTION', 'STORY_CONCEPTION', 'WORLDVIEW', 'CHARACTERS', 'PLOT_OUTLINE'] as const;

/**
 * Authors and their agent, by HTTP alone: each command goes to any replica, under a key of its own. Whoever gets no answer, or one that
 * says "later", asks another replica with the same key until it knows: in the end every command was accepted exactly once.
 */
export class HttpClients {
  readonly #options: ClientsOptions;
  #accepted = 0;
  #askedAgain = 0;
  readonly #unexpected: string[] = [];
  #run: { readonly stopping: AbortController; readonly ended: Promise<unknown> } | null = null;

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  /** Commands that were accepted so far. */
  get accepted(): number {
    return this.#accepted;
  }

  /** How often no answer came, or one that says "later". */
  get askedAgain(): number {
    return this.#askedAgain;
  }

  /** Answers that no client should ever see, a few of them. */
  get unexpected(): readonly string[] {
    return this.#unexpected;
  }

  start(): void {
    const { clients = 10, rate = 120 } = this.#options;
    const stopping = new AbortController();
    const pace = (clients / rate) * 1_000;
    const one = async (number: number): Promise<void> => {
      while (!stopping.signal.aborted) {
        try {
          await this.#session(number, pace, stopping.signal);
        } catch (error) {
          if (stopping.signal.aborted && (error as Error).name === 'AbortError') return;
          if (this.#unexpected.length < 10) this.#unexpected.push(String(error));
          return;
        }
      }
    };
    this.#run = { stopping, ended: Promise.all(Array.from({ length: clients }, (_, number) => one(number))) };
  }

  /** Resolves once every command that was sent has its answer. */
  async stop(): Promise<void> {
    this.#run?.stopping.abort();
    await this.#run?.ended;
    this.#run = null;
  }

  /** A whole novel, from its first idea to its last stage. */
  async #session(number: number, pace: number, signal: AbortSignal): Promise<void> {
    const author = await tokenOf(`author-${number}`, []);
    const agent = await tokenOf('the-agent', ['agent']);
    const created = await this.#send(author, '/sessions', { title: `Novel of ${number}` });
    const sessionId = String(created.body['session_id']);
    const first = await this.#get(author, `/sessions/${sessionId}/commands`);
    const [command] = first['items'] as readonly { readonly command_id: string }[];
    this.#tell(String(command?.command_id), sessionId, created.etag);
    const send = async (token: string, command_type: string, payload: object): Promise<string> => {
      await sleep(pace * (0.5 + Math.random()), undefined, { signal });
      const answer = await this.#send(token, `/sessions/${sessionId}/commands`, { command_type, payload });
      const commandId = String(answer.body['command_id']);
      this.#tell(commandId, sessionId, answer.etag);
      return commandId;
    };
    const request_id = await send(author, 'RequestConceptGeneration', {
      theme_preferences: ['科幻'],
      style_preferences: [],
    });
    await send(agent, 'ProposeConcepts', { request_id, concepts: [{ title: 'One', summary: 'An idea' }] });
    for (const stage of STAGES) {
      await send(author, 'SubmitFeedback', { feedback: `more of ${stage}` });
      await send(author, 'UpdateSession', { title: `Novel of ${number} at ${stage}` });
      await send(author, 'ConfirmStage', { stage, data: { chosen: stage } });
    }
  }

  #tell(commandId: string, sessionId: string, version: number): void {
    this.#accepted += 1;
    this.#options.onAnswer({ commandId, sessionId, outcome: 'accepted', version });
  }

  async #send(token: string, path: string, body: object): Promise<Answer> {
    const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
    const answer = await this.#ask(token, path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (![200, 201, 202].includes(answer.status))
      throw new Error(`${path} ${JSON.stringify(body)} was answered ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer;
  }

  async #get(token: string, path: string): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#ask(token, path, {});
    if (answer.status !== 200) throw new Error(`GET ${path} was answered ${answer.status}`);
    return answer.body;
  }

  /** Asks until somebody knows. */
  async #ask(token: string, path: string, init: RequestInit): Promise<Answer> {
    const deadline = performance.now() + PATIENCE;
    for (;;) {
      const replicas = this.#options.replicas();
      const replica = replicas[Math.floor(Math.random() * replicas.length)];
      const answer = replica === undefined ? null : await request(`${replica}/api/v1/genesis${path}`, token, init);
      if (answer !== null && answer.status !== 503 && answer.status !== 504) return answer;
      if (performance.now() > deadline)
        throw new Error(`${path} has no answer after ${PATIENCE} ms: ${JSON.stringify(answer)}`);
      this.#askedAgain += 1;
      await sleep(50);
    }
  }
}

/** Null: no answer came. */
export async function request(url: string, token: string, init: RequestInit): Promise<Answer | null> {
  try {
    const headers = { ...(init.headers as Record<string, string> | undefined), authorization: `Bearer ${token}` };
    const response = await fetch(url, { ...init, headers, signal: AbortSignal.timeout(10_000) });
    const body = (await response.json()) as Readonly<Record<string, unknown>>;
    return { status: response.status, etag: Number((response.headers.get('etag') ?? '').replaceAll('"', '')), body };
  } catch {
    return null;
  }
}

export function tokenOf(user: string, roles: readonly string[]): Promise<string> {
  return createDevelopmentToken({ secret: SECRET, user, roles, expiresIn: 3_600 });
}
