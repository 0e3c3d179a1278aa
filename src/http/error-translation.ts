import { GenesisError, type ErrorCode } from '../errors.ts';
import { malformed } from './json-body.ts';

/** Fastify's own refusals of a request, in our terms. Whatever else it throws is a defect. */
const FASTIFY_ERRORS: Readonly<Record<string, readonly [code: ErrorCode, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['PAYLOAD_TOO_LARGE', 'The request body is larger than this API takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json in UTF-8'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['MALFORMED_REQUEST', 'The body is not as long as its Content-Length says'],
  FST_ERR_BAD_URL: ['MALFORMED_REQUEST', 'The URL cannot be decoded'],
  FST_ERR_MAX_PARAM_LENGTH: ['MALFORMED_REQUEST', 'A part of the path is too long'],
};

/** Any error as one of ours. What nobody foresaw is an INTERNAL_ERROR that says nothing of its cause but keeps it for the log. */
export function asGenesisError(error: unknown): GenesisError {
  if (error instanceof GenesisError && error.code !== 'INTERNAL_ERROR') return error;
  const code = codeOf(error);
  const known = code === undefined ? undefined : FASTIFY_ERRORS[code];
  if (known !== undefined) return new GenesisError(known[0], known[1], {}, { cause: error });
  // The client went away while its body was read; nobody will see this answer.
  if (code === 'ECONNRESET') return malformed('The request ended before its body did');
  return new GenesisError(
    'INTERNAL_ERROR',
    'A defect in this service; the log knows it by its trace_id',
    {},
    {
      cause: error,
    },
  );
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
