import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { GenesisError } from '../errors.ts';
import { malformed } from './json-body.ts';
import { problemOf } from './problem.ts';
import { newTraceId } from './request-context.ts';

/**
 * Answers what is not HTTP, too long in its headers, or too slow, before there is a request that a route could answer.
 *
 * Silently cuts the connection when a request on it is being worked on: a 400 written now would be read as the answer to that
 * one, and a command that may be committed must never be told refused.
 *
 * @param answers What AnswerTracker says of the connection.
 */
export function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  answers: readonly ServerResponse[],
): void {
  if (error.code === 'ECONNRESET' || !socket.writable || mustNotAnswer(answers)) {
    socket.destroy();
    return;
  }
  const { refusal, status } = refusalOf(error.code);
  const problem = problemOf(refusal, { path: null, traceId: newTraceId(), status });
  const headers = { ...problem.headers, 'content-length': Buffer.byteLength(problem.body), connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`;
  socket.end(head + problem.body, () => socket.destroy());
}

/**
 * One request whose body is still on its way has not reached its route yet: only that one may be answered in its place. If it
 * was refused before its body came, it has its answer; a second one would be read as that of the next request.
 */
function mustNotAnswer(answers: readonly ServerResponse[]): boolean {
  return answers.length > 1 || answers.some((answer) => answer.headersSent || answer.req.complete);
}

function refusalOf(code: string | undefined): { refusal: GenesisError; status: number } {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { refusal: malformed('The headers are too long'), status: 431 };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { refusal: new GenesisError('PAYLOAD_TOO_LARGE', 'The chunk extensions are too long'), status: 413 };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { refusal: malformed('The request did not arrive in time'), status: 408 };
    default:
      return { refusal: malformed('This is not HTTP/1.1 as it should be'), status: 400 };
  }
}
