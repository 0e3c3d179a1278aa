import { setTimeout as sleep } from 'node:timers/promises';
import { createDevelopmentToken } from '../../src/http/development-token.ts';

const SESSIONS = '/api/v1/genesis/sessions';
/** Milliseconds: who gets no answer asks again later. */
const PATIENCE = 10_000;
const USERS = 20;

/** Authors that send commands by HTTP, as slowly as they are told, whatever is broken. */
export class Clients {
  readonly #address: string;
  readonly #tokens: readonly string[];
  #load: { readonly stopping: AbortController; readonly ended: Promise<unknown> } | null = null;

  private constructor(address: string, tokens: readonly string[]) {
    this.#address = address;
    this.#tokens = tokens;
  }

  /** @param address host:port of the API */
  static async create(address: string, secret: string): Promise<Clients> {
    const tokenOf = (_: unknown, index: number) =>
      createDevelopmentToken({ secret, user: `author-${index}`, roles: [], expiresIn: 86_400 });
    return new Clients(address, await Promise.all(Array.from({ length: USERS }, tokenOf)));
  }

  /** One session of an author; null when it was not taken. */
  async createSession(author = 0): Promise<string | null> {
    const answer = await this.#post(SESSIONS, { title: 'A novel' }, author);
    return answer?.status === 201 ? ((await answer.json()) as { session_id: string }).session_id : null;
  }

  /** Whether it was taken. */
  async sendFeedback(session: string, feedback: string, author = 0): Promise<boolean> {
    const command = { command_type: 'SubmitFeedback', payload: { feedback } };
    return (await this.#post(`${SESSIONS}/${session}/commands`, command, author))?.status === 200;
  }

  /** Begins to send so many commands a second. */
  start(rate: number): void {
    const stopping = new AbortController();
    const writers = Array.from({ length: USERS }, async (_, author) => {
      let session: string | null = null;
      while (!stopping.signal.aborted) {
        if (session === null) session = await this.createSession(author);
        else await this.sendFeedback(session, 'darker', author);
        await sleep((USERS / rate) * 1_000, undefined, { signal: stopping.signal }).catch(() => undefined);
      }
    });
    this.#load = { stopping, ended: Promise.all(writers) };
  }

  /** Resolves when all that was sent is answered. */
  async stop(): Promise<void> {
    this.#load?.stopping.abort();
    await this.#load?.ended;
    this.#load = null;
  }

  /** So many at a time ask again as soon as they are answered, until the signal. Resolves then. */
  async flood(what: 'commands' | 'sessions', atOnce: number, signal: AbortSignal): Promise<void> {
    const ask = (author: number) => (what === 'commands' ? this.createSession(author) : this.#get(SESSIONS, author));
    await Promise.all(
      Array.from({ length: atOnce }, async (_, index) => {
        while (!signal.aborted) await ask(index % USERS);
      }),
    );
  }

  async #get(path: string, author: number): Promise<void> {
    await (await this.#fetch(path, { headers: this.#headers(author) }))?.arrayBuffer();
  }

  async #post(path: string, body: unknown, author: number): Promise<Response | null> {
    const headers = { ...this.#headers(author), 'content-type': 'application/json' };
    const answer = await this.#fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
    if (answer !== null && !answer.ok) await answer.arrayBuffer();
    return answer;
  }

  #headers(author: number): Record<string, string> {
    return { authorization: `Bearer ${this.#tokens[author]}` };
  }

  /** Null: no answer. */
  async #fetch(path: string, request: RequestInit): Promise<Response | null> {
    try {
      return await fetch(`http://${this.#address}${path}`, { ...request, signal: AbortSignal.timeout(PATIENCE) });
    } catch {
      // Not at once: whoever finds no listener would ask thousands of times a second.
      await sleep(100);
      return null;
    }
  }
}
