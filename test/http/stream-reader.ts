import { Agent, request, type IncomingMessage } from 'node:http';
import { tokenOf } from './api-harness.ts';

export interface StreamedEvent {
  readonly id: string | null;
  readonly event: string;
  readonly data: string;
}

export interface StreamOptions {
  readonly as?: string;
  readonly roles?: readonly string[];
  readonly token?: string;
  readonly headers?: Record<string, string>;
}

export type StreamReader = Awaited<ReturnType<typeof openStream>>;

/** Opens an event stream over a socket of its own; resolves with its head. Reads at once, until `pause`. */
export async function openStream(url: string, { as = 'alice', roles, token, headers = {} }: StreamOptions = {}) {
  const authorization = `Bearer ${token ?? (await tokenOf(as, roles))}`;
  const agent = new Agent({ keepAlive: false });
  const sent = request(url, { agent, headers: { accept: 'text/event-stream', authorization, ...headers } });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    sent.once('response', resolve).once('error', reject).end();
  });
  const parser = createParser();
  response.setEncoding('utf8').on('data', (chunk: string) => parser.push(chunk));
  const ended = new Promise<void>((resolve) => {
    response.once('close', resolve).once('error', () => resolve());
  });
  void ended.then(() => parser.finish());
  return {
    status: response.statusCode,
    headers: response.headers,
    events: parser.events,
    comments: parser.comments,
    /** Domain events' ids so far, as numbers. */
    versions: () => parser.events.filter(({ id }) => id !== null).map(({ id }) => Number(id)),
    /** Resolves once `condition` holds; rejects if the stream ends before. */
    until: (condition: () => boolean) => parser.until(condition),
    /** Resolves when the connection is gone, whoever ended it. */
    ended,
    pause: () => response.pause(),
    resume: () => response.resume(),
    close: () => sent.destroy(),
  };
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, as far as we use it. */
function createParser() {
  const events: StreamedEvent[] = [];
  const comments: string[] = [];
  const waiting = new Set<() => void>();
  let finished = false;
  let rest = '';

  function take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      if (line.startsWith(':')) comments.push(line.slice(1).trim());
      else fields.set(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2));
    }
    const [event, data] = [fields.get('event'), fields.get('data')];
    if (event !== undefined && data !== undefined) events.push({ id: fields.get('id') ?? null, event, data });
  }

  return {
    events,
    comments,
    push(chunk: string) {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) take(block);
      for (const look of waiting) look();
    },
    finish() {
      finished = true;
      for (const look of waiting) look();
    },
    until(condition: () => boolean): Promise<void> {
      return new Promise((resolve, reject) => {
        const look = () => {
          if (condition()) resolve();
          else if (finished) reject(new Error(`the stream ended after ${events.length} events`));
          else return;
          waiting.delete(look);
        };
        waiting.add(look);
        look();
      });
    },
  };
}
