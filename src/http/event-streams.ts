import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { GenesisError } from '../errors.ts';
import type { FollowEvents, Subscription } from '../events/event-feed.ts';
import type { Position, StoredEvent } from '../events/ports.ts';
import { eventBody } from './event-body.ts';

/** Bounds of event streams; times in milliseconds. */
export interface StreamLimits {
  /** Most streams open at a time. One more is refused. */
  readonly streams: number;
  /** A stream that was silent for so long gets a comment, so that nobody on the way takes it for dead. */
  readonly heartbeat: number;
  /** Between looks for silent streams and for tokens that have expired. */
  readonly sweep: number;
}

export const DEFAULT_STREAM_LIMITS: StreamLimits = { streams: 10_000, heartbeat: 15_000, sweep: 1_000 };

/** Why a stream ended, as its last event says. */
export type StreamEnd = 'TOKEN_EXPIRED' | 'SERVER_STOPPING';

/** What a stream is opened with. */
export interface StreamRequest {
  readonly position: Position;
  /** When the token expires, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

interface Stream {
  readonly response: ServerResponse;
  readonly expiresAt: number;
  /** By the monotonic clock. */
  lastWrite: number;
}

export const STREAM_HEADERS: OutgoingHttpHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  // For nginx and its like, which would collect an answer before they pass it on.
  'x-accel-buffering': 'no',
};

/** Also makes the first bytes flow: a client sees that the stream is open before there is an event. */
const BEGINNING = 'retry: 1000\n\n';
const HEARTBEAT = ': heartbeat\n\n';

/**
 * The open event streams (Server-Sent Events) of this process. One timer serves them all. What a client does not take waits in
 * its socket's buffer, at most until that is full; then the stream is passed over, heartbeats included, until it has drained.
 * A client that takes nothing for the server's socket timeout is cut off by that.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class EventStreams {
  readonly #feed: FollowEvents;
  readonly #limits: StreamLimits;
  readonly #streams = new Set<Stream>();
  #timer: NodeJS.Timeout | null = null;
  #stopping = false;

  constructor(feed: FollowEvents, limits: StreamLimits) {
    this.#feed = feed;
    this.#limits = limits;
  }

  /** @throws GenesisError UNAVAILABLE when there is no room for one more, or this server stops */
  assertRoom(): void {
    if (this.#stopping) throw new GenesisError('UNAVAILABLE', 'This server is stopping; open the stream again');
    if (this.#streams.size >= this.#limits.streams) {
      throw new GenesisError('UNAVAILABLE', 'Too many event streams are open here; try again later');
    }
  }

  /** Answers with a stream that ends with the client, the token or this server. */
  open(response: ServerResponse, { position, expiresAt }: StreamRequest): void {
    // It went away while its session was looked up: nothing would ever tell us so again.
    if (response.destroyed || response.socket?.destroyed === true) return;
    const stream: Stream = { response, expiresAt, lastWrite: performance.now() };
    response.writeHead(200, STREAM_HEADERS);
    response.write(BEGINNING);
    const subscription = this.#feed.follow(position, (event) => write(stream, frameOf(event)));
    this.#attend(stream, subscription);
  }

  /** Ends all streams and takes no more. */
  close(): void {
    this.#stopping = true;
    for (const stream of this.#streams) end(stream, 'SERVER_STOPPING');
  }

  #attend(stream: Stream, subscription: Subscription): void {
    this.#streams.add(stream);
    this.#timer ??= setInterval(() => this.#sweep(), this.#limits.sweep);
    stream.response.on('drain', () => subscription.resume());
    stream.response.once('close', () => {
      subscription.close();
      this.#streams.delete(stream);
      if (this.#streams.size > 0 || this.#timer === null) return;
      clearInterval(this.#timer);
      this.#timer = null;
    });
  }

  #sweep(): void {
    const [now, silentSince] = [Date.now(), performance.now() - this.#limits.heartbeat];
    for (const stream of this.#streams) {
      if (stream.expiresAt <= now) end(stream, 'TOKEN_EXPIRED');
      else if (stream.lastWrite <= silentSince && !stream.response.writableNeedDrain) write(stream, HEARTBEAT);
    }
  }
}

/** Whether there is room for more. */
function write(stream: Stream, chunk: string | Buffer): boolean {
  stream.lastWrite = performance.now();
  return stream.response.write(chunk);
}

/** Says why, unless the client takes nothing: then it is cut off. */
function end({ response }: Stream, reason: StreamEnd): void {
  if (response.writableNeedDrain) response.destroy();
  else if (!response.writableEnded) response.end(`event: end\ndata: ${JSON.stringify({ reason })}\n\n`);
}

/** The readers of a session get the same event objects: each is encoded once. */
const frames = new WeakMap<StoredEvent, Buffer>();

/** JSON has no line breaks outside of strings, and escapes them inside. */
function frameOf(event: StoredEvent): Buffer {
  const known = frames.get(event);
  if (known !== undefined) return known;
  const { aggregateVersion, eventType } = event;
  const frame = Buffer.from(
    `id: ${aggregateVersion}\nevent: ${eventType}\ndata: ${JSON.stringify(eventBody(event))}\n\n`,
  );
  frames.set(event, frame);
  return frame;
}
