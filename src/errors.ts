/**
 * Every error that leaves this program, in one table: the HTTP status, whether the same request may succeed later
 * without being changed, and what it means. Driver errors are translated into these at the driver's border, once.
 */
export const ERRORS = {
  MALFORMED_REQUEST: { status: 400, retryable: false, title: 'The request cannot be read' },
  UNSUPPORTED_COMMAND_TYPE: { status: 400, retryable: false, title: 'No such command' },
  UNAUTHENTICATED: { status: 401, retryable: false, title: 'A valid bearer token is needed' },
  FORBIDDEN: { status: 403, retryable: false, title: 'Your role may not do this' },
  SESSION_NOT_FOUND: { status: 404, retryable: false, title: 'No such session' },
  NOT_FOUND: { status: 404, retryable: false, title: 'No such resource' },
  METHOD_NOT_ALLOWED: { status: 405, retryable: false, title: 'The resource has no such method' },
  DUPLICATE_COMMAND: { status: 409, retryable: true, title: 'Command already processing' },
  STAGE_MISMATCH: { status: 409, retryable: false, title: 'The session is at another stage' },
  SESSION_CLOSED: { status: 409, retryable: false, title: 'The session is no longer in progress' },
  NOTHING_TO_ANSWER: { status: 409, retryable: false, title: 'The request is not outstanding' },
  SELECTION_CHANGED: { status: 409, retryable: false, title: 'Other rows fit now than at the preview' },
  VERSION_MISMATCH: { status: 412, retryable: false, title: 'The session has another version' },
  PAYLOAD_TOO_LARGE: { status: 413, retryable: false, title: 'The request body is too large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retryable: false, title: 'The body must be application/json' },
  INVALID_PAYLOAD: { status: 422, retryable: false, title: 'The payload breaks its schema' },
  IDEMPOTENCY_KEY_REUSED: { status: 422, retryable: false, title: 'The Idempotency-Key belongs to another request' },
  RATE_LIMITED: { status: 429, retryable: true, title: 'Too many requests' },
  INTERNAL_ERROR: { status: 500, retryable: false, title: 'A defect in this service' },
  OVERLOADED: { status: 503, retryable: true, title: 'Too many commands wait; nothing was written' },
  UNAVAILABLE: { status: 503, retryable: true, title: 'A dependency is away' },
  OUTCOME_UNKNOWN: {
    status: 504,
    retryable: true,
    title: 'Whether the command was stored could not be learnt in time',
  },
} as const satisfies Record<string, { status: number; retryable: boolean; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** What an answer carries besides code and message, e.g. `duplicate_command_id`. Members are snake_case: they go out as they are. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export class GenesisError extends Error {
  override readonly name = 'GenesisError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}
