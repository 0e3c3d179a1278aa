import { pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from '../config.ts';

/** What a log line must never show, wherever it stands. */
const SECRETS = ['authorization', 'headers.authorization', 'req.headers.authorization', 'password', 'secret', 'token'];

export interface LoggerOptions {
  readonly level: LogLevel;
  /** People read it (a terminal, development) rather than programs. */
  readonly readable: boolean;
}

/** JSON lines on standard output, or readable ones. Written at once: nothing is lost when the process ends. */
export function createLogger({ level, readable }: LoggerOptions): Logger {
  const redact = { paths: SECRETS, censor: '[secret]' };
  const serializers = { err: describeError };
  if (!readable) return pino({ level, redact, serializers }, pino.destination({ sync: true }));
  const stream = pretty({
    colorize: process.stdout.isTTY,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    sync: true,
  });
  return pino({ level, redact, serializers }, stream);
}

/** What a line tells of an error. Not all that hangs on it: drivers hang their connections on theirs, keys and all. */
interface DescribedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: DescribedError;
}

/** How deep causes are told. */
const CAUSES_MAX = 5;

export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  return {
    type: name,
    message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined || depth >= CAUSES_MAX ? {} : { cause: describeError(cause, depth + 1) }),
  };
}
