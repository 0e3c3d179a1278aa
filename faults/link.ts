import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { MarkSpotter } from './mark-spotter.ts';

/** Milliseconds after which no mark is expected any more. */
const NO_MARK = 5_000;

/** When, around a mark: it has not reached the server; it was carried out, and its answer has not come back; it passes. */
type Moment = 'before' | 'after' | 'passing';

interface Strike {
  readonly moment: Moment;
  readonly struck: () => void;
}

/** A way to PostgreSQL that breaks when told to. */
export class Link {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #armed: Strike | null = null;

  private constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
    this.#server = createServer((near) => this.#join(near));
  }

  static async open(databaseUrl: string): Promise<Link> {
    const link = new Link(databaseUrl);
    link.#server.listen(0, '127.0.0.1');
    await once(link.#server, 'listening');
    return link;
  }

  /** The database's address, by this way. */
  get url(): string {
    const url = new URL(this.#target);
    url.port = String((this.#server.address() as AddressInfo).port);
    return url.href;
  }

  /** Resets every connection; new ones are accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /**
   * Resets every connection when the next mark passes: before it reaches the server, or when the server answers it, and the
   * answer is lost. Resolves with whether that has happened; false after 5 s without a mark.
   *
   * @param strike Called at that very moment, first.
   */
  async cutAtMark(before: boolean, strike: () => void = () => {}): Promise<boolean> {
    return this.#atMark(before ? 'before' : 'after', () => {
      strike();
      this.cut();
    });
  }

  /** Calls `strike` when the next mark passes, and lets it pass. Resolves as `cutAtMark` does. */
  async atMark(strike: () => void): Promise<boolean> {
    return this.#atMark('passing', strike);
  }

  async #atMark(moment: Moment, strike: () => void): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const late = setTimeout(() => {
      this.#armed = null;
      resolve(false);
    }, NO_MARK);
    const struck = (): void => {
      strike();
      resolve(true);
    };
    this.#armed = { moment, struck };
    const happened = await promise;
    clearTimeout(late);
    return happened;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(near: Socket): void {
    const far = connect(Number(this.#target.port), this.#target.hostname);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    const spotter = new MarkSpotter();
    near.on('data', (bytes: Buffer) => this.#forward(bytes, spotter.sees(bytes), far));
    far.on('data', (bytes) => near.write(bytes));
  }

  #forward(bytes: Buffer, isMark: boolean, far: Socket): void {
    const armed = isMark ? this.#armed : null;
    if (armed !== null) {
      this.#armed = null;
      if (armed.moment === 'after') {
        far.removeAllListeners('data');
        far.once('data', armed.struck);
      } else armed.struck();
    }
    if (armed?.moment !== 'before') far.write(bytes);
  }
}
