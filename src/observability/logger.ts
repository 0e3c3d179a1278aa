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
  if (!readable) return pino({ level, redact }, pino.destination({ sync: true }));
  const stream = pretty({
    colorize: process.stdout.isTTY,
    ignore: 'pid,hostname',
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
    sync: true,
  });
  return pino({ level, redact }, stream);
}
