import type { Logger } from 'pino';
import type { CommandService } from '../commands/ports.ts';
import type { HttpConfig } from '../config.ts';
import type { ErrorCode } from '../errors.ts';
import type { FollowEvents } from '../events/event-feed.ts';
import type { Queries } from '../events/ports.ts';
import type { CommandType } from '../genesis/commands.ts';
import type { SessionId } from '../genesis/ids.ts';
import type { Session } from '../genesis/session.ts';
import type { Operations } from '../outbox/operations/operations.ts';
import type { CommandQueue } from './door.ts';
import type { StreamLimits } from './event-streams.ts';
import type { TokenVerifier } from './tokens.ts';

/** Reads the current state of sessions. */
export interface SessionReader {
  /**
   * The session, whoever owns it, or null when there is none. Who may see it is judged here in `http`.
   * @throws GenesisError UNAVAILABLE
   */
  read(sessionId: SessionId): Promise<Session | null>;
}

/** Whether something that this service needs is there. */
export interface ReadinessCheck {
  /** Goes out to whoever asks /readyz. */
  readonly name: string;
  readonly ok: boolean;
  /** Goes to the log only: it may say where the dependency lives. */
  readonly detail?: string;
}

/** Bounds of the HTTP server; times in milliseconds. */
export interface HttpLimits {
  /** Most bytes of a request body. */
  readonly bodyBytes: number;
  /** Most connections at a time, idle ones and streams included: the bound on what those can cost who have no token. */
  readonly connections: number;
  /** From the first byte of a connection or request to the end of its headers. */
  readonly headersTimeout: number;
  /** From the first byte of a request to the end of its body. */
  readonly receiveTimeout: number;
  /** How long a connection may idle between requests. Longer than the usual 60 s of a load balancer, so that it closes first. */
  readonly keepAliveTimeout: number;
  /** How long a socket may be silent while an answer waits to be taken. */
  readonly socketTimeout: number;
  /** How long `stop` waits for answers in flight before it cuts them. */
  readonly stopGrace: number;
}

export const DEFAULT_LIMITS: HttpLimits = {
  bodyBytes: 262_144,
  connections: 20_000,
  headersTimeout: 10_000,
  receiveTimeout: 20_000,
  keepAliveTimeout: 65_000,
  socketTimeout: 120_000,
  stopGrace: 5_000,
};

/** What the API tells of its work, for measurements. Called for every request: must be cheap, and must not throw. */
export interface HttpMeter {
  /**
   * A request was answered, other than by a stream, and its client has waited for it.
   * @param route As it is registered, e.g. `/livez`; null: there is none.
   * @param status Its class, e.g. `2xx`.
   * @param milliseconds Since its arrival.
   */
  answered(method: string, route: string | null, status: string, milliseconds: number): void;
  accepted(command: CommandType, replayed: boolean): void;
  /** @param command Null: it was refused before it was known which one. */
  refused(command: CommandType | null, code: ErrorCode): void;
  /** Called once: whose line is to be told. */
  watchDoor(door: { readonly waiting: number }): void;
}

/** A request that is part of a trace. */
export interface RequestTrace {
  /** 32 hex digits. */
  readonly traceId: string;
  /** W3C trace context of the request's own span: what it causes comes under that. */
  readonly traceparent: string;
  /** @param answer `status` is null when the client did not wait for it. */
  end(answer: {
    readonly status: number | null;
    readonly sessionId: string | null;
    readonly commandId: string | null;
  }): void;
}

/** Makes requests part of traces. Called for every request of the API: must be cheap, and must not throw. */
export interface RequestTracer {
  /**
   * @param request `route` is as registered, null for none; `path` has no query; `traceparent` is the caller's, null without a valid one.
   */
  begin(request: {
    readonly method: string;
    readonly route: string | null;
    readonly path: string;
    readonly traceparent: string | null;
  }): RequestTrace;
}

/** Metrics as text, and how it is written. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** What the HTTP API is wired to. */
export interface HttpDependencies {
  readonly config: HttpConfig;
  readonly tokens: TokenVerifier;
  readonly commands: CommandService;
  /** What `commands` lets them wait in: while it is full they wait at the door. Absent: it is never full. */
  readonly queue?: CommandQueue;
  readonly sessions: SessionReader;
  readonly queries: Queries;
  /** What operators do with the outbox and its relays. */
  readonly operations: Operations;
  /** What event streams live on. */
  readonly feed: FollowEvents;
  /** Asks every dependency; each answer within the request time limit counts, later ones do not. */
  readonly readiness: () => Promise<readonly ReadinessCheck[]>;
  /** What GET /metrics answers; within a second, whatever is away. Absent: nothing is measured. */
  readonly metrics?: () => Promise<MetricsPage>;
  readonly meter?: HttpMeter;
  /** Absent: nothing is traced. */
  readonly tracer?: RequestTracer;
  readonly logger: Logger;
  /** A new UUIDv7, in lower case. */
  newId(): string;
  readonly limits?: Partial<HttpLimits>;
  readonly streamLimits?: Partial<StreamLimits>;
}
