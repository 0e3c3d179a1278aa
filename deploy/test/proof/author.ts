import type { Container } from './project.ts';
import { runTool, until } from './run-tool.ts';

/** What the proof reads of an answer. */
interface Answer {
  readonly session_id: string;
  readonly command_id: string;
  readonly status: string;
  readonly error_code: string;
  readonly duplicate_command_id: string;
  readonly events: readonly { readonly publication: Publication }[];
}

interface Publication {
  readonly status: string;
  readonly partition: number | null;
  readonly offset: string | number | null;
}

export interface Reply {
  readonly status: number;
  readonly body: Answer;
}

/** Somebody with a token, who speaks to one API replica. */
export class Author {
  readonly #base: string;
  readonly #token: string;

  private constructor(base: string, token: string) {
    this.#base = base;
    this.#token = token;
  }

  /** The token is signed in the container, by the development secret that it has: in production nobody can. */
  static async signIn(api: Container, user: string, roles: readonly string[] = []): Promise<Author> {
    const words = ['genesis', 'token', '--user', user, ...roles.flatMap((role) => ['--role', role])];
    const token = await runTool('docker', ['exec', '--env', 'NODE_ENV=development', api.id, ...words]);
    if (api.port === null) throw new Error(`${api.name} publishes no port`);
    return new Author(`http://127.0.0.1:${api.port}/api/v1/genesis`, token.trim());
  }

  /** @returns The new session's id. */
  async createSession(title: string): Promise<string> {
    const { status, body } = await this.#ask('POST', '/sessions', { title });
    if (status !== 201) throw new Error(`POST /sessions answered ${status}: ${JSON.stringify(body)}`);
    return body.session_id;
  }

  send(session: string, type: string, payload: object): Promise<Reply> {
    return this.#ask('POST', `/sessions/${session}/commands`, { command_type: type, payload });
  }

  /** Waits until every event of the command is in Kafka, and tells where. */
  untilSent(session: string, command: string): Promise<readonly Publication[]> {
    return until(`command ${command} is sent`, async () => {
      const { body } = await this.#ask('GET', `/sessions/${session}/commands/${command}`);
      const publications = body.events.map(({ publication }) => publication);
      return publications.length > 0 && publications.every(({ status }) => status === 'sent') ? publications : null;
    });
  }

  async #ask(method: string, path: string, body?: object): Promise<Reply> {
    const response = await fetch(this.#base + path, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    return { status: response.status, body: (await response.json()) as Answer };
  }
}
