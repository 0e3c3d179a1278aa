import { connect, type Socket } from 'node:net';

/** What a connection tells whoever uses it. */
export interface ConnectionEvents {
  /** The answer to the request under way. */
  answered(connection: HttpConnection, status: number): void;
  /** It is gone; a request under way stays without an answer. */
  closed(connection: HttpConnection, reason: string): void;
}

const HEAD_END = '\r\n\r\n';
const READ_SIZE = 65_536;
/** All connections read into it in turn: what arrives is looked at before the next read. */
const SHARED = Buffer.allocUnsafe(READ_SIZE);

/**
 * A connection that carries one request at a time, given as bytes. It knows as much of HTTP/1.1 as the answers of the API need
 * (a status, a Content-Length): a whole client costs three times as much CPU, which the API on the same cores would lack.
 */
export class HttpConnection {
  /** When the request under way was due and when it was sent, by performance.now(). */
  due = 0;
  sent = 0;
  busy = false;
  readonly ready: Promise<void>;
  readonly #socket: Socket;
  readonly #events: ConnectionEvents;
  /** The answer so far, when it came in pieces. */
  #pieces = '';
  #over = false;

  constructor({ hostname, port }: URL, events: ConnectionEvents) {
    this.#events = events;
    const onread = { buffer: SHARED, callback: (length: number) => this.#read(length) };
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    this.#socket.once('close', () => this.#close('closed by the API'));
    this.ready = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve).on('error', (error) => {
        this.#close(error.message);
        reject(error);
      });
    });
    // Who does not wait for it hears of a failure by `closed`.
    this.ready.catch(() => {});
  }

  send(request: Buffer, due: number): void {
    this.due = due;
    this.busy = true;
    this.sent = performance.now();
    this.#socket.write(request);
  }

  destroy(): void {
    this.#over = true;
    this.#socket.destroy();
  }

  #close(reason: string): void {
    if (this.#over) return;
    this.destroy();
    this.#events.closed(this, reason);
  }

  /** True: go on reading. */
  #read(length: number): boolean {
    this.#pieces += SHARED.toString('latin1', 0, length);
    const headEnd = this.#pieces.indexOf(HEAD_END);
    if (headEnd < 0) return true;
    const bodyLength = /\r\ncontent-length: *(\d+)/iu.exec(this.#pieces.slice(0, headEnd))?.[1];
    if (bodyLength === undefined || !this.busy) {
      this.#close(this.busy ? 'an answer without Content-Length' : 'an answer that nobody asked for');
      return false;
    }
    if (this.#pieces.length < headEnd + HEAD_END.length + Number(bodyLength)) return true;
    const status = Number(this.#pieces.slice('HTTP/1.1 '.length, 'HTTP/1.1 200'.length));
    const isLast = /\r\nconnection: *close/iu.test(this.#pieces.slice(0, headEnd));
    this.#pieces = '';
    this.busy = false;
    if (isLast) this.#close('closed after this answer');
    this.#events.answered(this, status);
    return !this.#over;
  }
}
