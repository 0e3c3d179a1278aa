import type { Connection, PoolClient, Submittable } from 'pg';

/** A statement; a connection keeps its plan under its name, which no other statement may have. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** What the server must answer it with; anything else is a failure. Absent: anything. */
  readonly tag?: string;
}

/** A parameter as the server reads it. */
export type TextParameter = string | null;

interface Asked {
  readonly statement: Statement;
  readonly values: readonly TextParameter[];
  readonly resolve: (rows: readonly unknown[]) => void;
  readonly reject: (error: unknown) => void;
}

/** The parts of the driver's connection that are used here; its type declarations are those of an older version. */
interface Wire {
  readonly stream: Connection['stream'];
  parse(message: { readonly name: string; readonly text: string }): void;
  bind(message: { readonly statement: string; readonly values: readonly TextParameter[] }): void;
  execute(message: object): void;
  sync(): void;
}

/** What each connection has prepared. */
const PREPARED = new WeakMap<Wire, Set<string>>();

/**
 * Sends statements that are asked for in one go in one message, and waits once for all of them: five round trips of a transaction
 * are three. They run one after the other, each on what those before it have left (under READ COMMITTED each with a snapshot of
 * its own). If one fails those after it do not run, and it and they are rejected; the connection is then of no more use, for what
 * it has prepared is no longer known. If the connection is lost, nothing is known of the statements whose answers
 * had not come.
 *
 * @see https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Pipeline {
  readonly #client: PoolClient;
  #asked: Asked[] = [];

  constructor(client: PoolClient) {
    this.#client = client;
  }

  /**
   * Asks for a statement to be run; it goes out when the code that runs now is done.
   *
   * @returns The rows: of each its columns in their order, as PostgreSQL writes them; null for NULL.
   */
  run<Row extends readonly unknown[]>(statement: Statement, values: readonly TextParameter[]): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#asked.length === 0) queueMicrotask(() => this.#send());
      // The rows are what the statement selects: that is for whoever wrote it to know.
      const take = (rows: readonly unknown[]): void => resolve(rows as readonly Row[]);
      this.#asked.push({ statement, values, resolve: take, reject });
    });
  }

  #send(): void {
    const asked = this.#asked;
    this.#asked = [];
    this.#client.query(new Flight(asked));
  }
}

/** Statements on their way, as the driver wants a query to be: it calls what is named `handle…`. */
class Flight implements Submittable {
  readonly #asked: readonly Asked[];
  readonly #rows: unknown[][];
  /** Tags that were not as they had to be. */
  readonly #wrong = new Map<number, string>();
  #done = 0;
  #failed = false;

  constructor(asked: readonly Asked[]) {
    this.#asked = asked;
    this.#rows = asked.map(() => []);
  }

  submit(connection: object): null {
    const wire = connection as Wire;
    const prepared = PREPARED.get(wire) ?? new Set();
    PREPARED.set(wire, prepared);
    wire.stream.cork();
    for (const { statement, values } of this.#asked) {
      if (!prepared.has(statement.name)) wire.parse(statement);
      prepared.add(statement.name);
      wire.bind({ statement: statement.name, values });
      wire.execute({});
    }
    wire.sync();
    wire.stream.uncork();
    return null;
  }

  handleDataRow({ fields }: { readonly fields: unknown }): void {
    this.#rows[this.#done]?.push(fields);
  }

  handleCommandComplete({ text }: { readonly text: string }): void {
    const { tag } = this.#asked[this.#done]?.statement ?? {};
    if (tag !== undefined && tag !== text) this.#wrong.set(this.#done, text);
    this.#done += 1;
  }

  handleReadyForQuery(): void {
    if (!this.#failed) this.#resolve(this.#asked.length);
  }

  handleError(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#resolve(this.#done);
    for (const { reject } of this.#asked.slice(this.#done)) reject(error);
  }

  /** The first so many. */
  #resolve(count: number): void {
    for (const [index, { statement, resolve, reject }] of this.#asked.slice(0, count).entries()) {
      const tag = this.#wrong.get(index);
      if (tag === undefined) resolve(this.#rows[index] ?? []);
      else reject(new Error(`${statement.name} was answered with ${tag}`));
    }
  }

  handleEmptyQuery(): void {
    this.#done += 1;
  }
}
