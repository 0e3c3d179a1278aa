import { Socket } from 'node:net';
import pg from 'pg';
import { endsSession } from './errors.ts';

/** The connection is gone, and whatever the session held with it. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

export interface WatchedConnectionOptions {
  /** Tells in pg_stat_activity who it is. */
  readonly applicationName: string;
  /** Milliseconds without an answer after which the connection counts as lost. */
  readonly callTimeout: number;
  /** Milliseconds between heartbeats while nothing else is asked. */
  readonly heartbeatInterval: number;
  /** Called for each notification of a channel that the session listens to. */
  readonly onNotification?: () => void;
  /** Calls the opening off; afterwards it means nothing. */
  readonly signal?: AbortSignal;
}

/**
 * Settings of the session. How soon the server ends the session of a client that vanished without a word: 5 s idle, then 3 probes 3 s apart, and as
 * long for bytes that nobody acknowledges.
 */
const SERVER_OPTIONS = [
  'tcp_keepalives_idle=5',
  'tcp_keepalives_interval=3',
  'tcp_keepalives_count=3',
  'tcp_user_timeout=15000',
  'idle_in_transaction_session_timeout=10000',
  // To compile a statement takes longer than any of ours runs.
  'jit=off',
];
const CONNECT_TIMEOUT_MS = 5_000;

/** Opens a session of its own, outside of any pool. @throws the driver's error, or the signal's reason */
export async function openWatchedConnection(
  url: string,
  options: WatchedConnectionOptions,
): Promise<WatchedConnection> {
  // Our own socket: the driver has no way to end a connection whose other end does not answer.
  const socket = new Socket();
  const client = new pg.Client({
    connectionString: url,
    application_name: options.applicationName,
    stream: () => socket,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    // The server gives a statement up before we give up the connection.
    statement_timeout: Math.ceil(options.callTimeout / 2),
    lock_timeout: Math.ceil(options.callTimeout / 2),
    options: SERVER_OPTIONS.map((setting) => `-c ${setting}`).join(' '),
  });
  const { signal } = options;
  signal?.throwIfAborted();
  const connection = new WatchedConnection(client, socket, options);
  const giveUp = () => connection.close();
  signal?.addEventListener('abort', giveUp, { once: true });
  try {
    await client.connect();
  } catch (error) {
    connection.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
  return connection;
}

const NAMES = new Map<string, string>();

/** Prepared once per session: to plan some statements takes longer than to run them. */
function nameOf(text: string): string {
  let name = NAMES.get(text);
  if (name === undefined) NAMES.set(text, (name = `statement-${NAMES.size}`));
  return name;
}

/** One session at the server, whose loss is noticed within the call timeout, by a heartbeat when nothing else is asked. */
export class WatchedConnection {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #callTimeout: number;
  readonly #lost = new AbortController();
  readonly #heartbeat: NodeJS.Timeout;
  #closed = false;
  #busy = false;
  /** The last statement that was asked for: they run one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: pg.Client, socket: Socket, options: WatchedConnectionOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#callTimeout = options.callTimeout;
    client.on('error', (error) => this.#lose(error));
    client.on('notification', () => options.onNotification?.());
    client.on('end', () => this.#lose(new Error('the connection ended')));
    this.#heartbeat = setInterval(() => void this.#beat(), options.heartbeatInterval);
  }

  /** Aborts once the connection is lost; its reason says why. Not by `close`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** @throws ConnectionLost once the connection is lost or closed; the driver's error when the server refuses the statement. */
  async query<Row>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    const rows = this.#last.then(() => this.#query<Row>(text, values));
    this.#last = rows.catch(() => undefined);
    return rows;
  }

  /** The time limit counts from when it is the statement's turn. */
  async #query<Row>(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    if (this.#closed || this.#lost.signal.aborted) throw this.#gone();
    const deadline = setTimeout(() => {
      this.#lose(new Error(`the database did not answer within ${this.#callTimeout} ms`));
    }, this.#callTimeout);
    this.#busy = true;
    try {
      const result = await this.#client.query<Row & pg.QueryResultRow>({
        name: nameOf(text),
        text,
        values: [...values],
      });
      return result.rows;
    } catch (error) {
      if (error instanceof pg.DatabaseError && !endsSession(error.code ?? '')) throw error;
      // Anything but a refused statement leaves the session in doubt.
      this.#lose(error instanceof Error ? error : new Error(String(error)));
      throw this.#gone();
    } finally {
      this.#busy = false;
      clearTimeout(deadline);
    }
  }

  /** Ends the connection, and with it the session, at once. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#socket.destroy();
  }

  async #beat(): Promise<void> {
    if (this.#busy) return;
    // Whoever uses the connection learns its loss from `lost`.
    await this.query('SELECT 1', []).catch(() => {});
  }

  #lose(reason: Error): void {
    clearInterval(this.#heartbeat);
    this.#socket.destroy();
    if (!this.#closed) this.#lost.abort(reason);
  }

  #gone(): ConnectionLost {
    return new ConnectionLost('the connection is gone', { cause: this.#lost.signal.reason });
  }
}
