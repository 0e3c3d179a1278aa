import { TransactionConflict } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';

/**
 * SQLSTATE classes and codes after which the same work may succeed on another connection or a little later.
 * @see https://www.postgresql.org/docs/18/errcodes-appendix.html
 */
const AWAY = new Set([
  '25006', // read_only_sql_transaction: a standby answered
  '53000', // insufficient_resources
  '53100', // disk_full
  '53200', // out_of_memory
  '53300', // too_many_connections
  '57014', // query_canceled: statement_timeout
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout, which somebody may have set for the role
  '58030', // io_error
]);

const CONFLICT = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available: lock_timeout
]);

/** What Node says when a connection cannot be made or breaks. */
const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** SQLSTATE of a server's error or code of Node's; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/**
 * Errors with which the server (or a pooler in between) ends the session: connection exceptions, a server that stops, and its own time
 * limits (idle in transaction, transaction, idle session). By code, because lc_messages translates the severity. One that is missing
 * here is noticed a moment later, when the connection ends. Source: the PostgreSQL documentation, appendix "Error Codes".
 */
const SESSION_ENDS = /^(?:08...|57P0[1-5]|25P0[34])$/u;

export function endsSession(sqlState: string): boolean {
  return SESSION_ENDS.test(sqlState);
}

/** node-postgres reports a broken or never made connection by words alone. */
function isBrokenConnection(error: unknown): boolean {
  return (
    error instanceof Error &&
    /connection terminated|timeout exceeded when trying to connect|timeout expired|not queryable/iu.test(error.message)
  );
}

/** Why the database asked to try again. */
export function conflictKind({ cause }: TransactionConflict): 'lock_timeout' | 'deadlock' | 'serialization' {
  const code = errorCode(cause);
  if (code === '40P01') return 'deadlock';
  return code === '55P03' ? 'lock_timeout' : 'serialization';
}

/** Whether the database (or the way to it) is away, rather than the statement wrong. */
function isUnavailable(error: unknown): boolean {
  const code = errorCode(error);
  if (code === undefined)
    return isBrokenConnection(error) || (error instanceof AggregateError && error.errors.some(isUnavailable));
  return code.startsWith('08') || AWAY.has(code) || NETWORK.has(code);
}

/**
 * A driver's error in our words, for a transaction that certainly wrote nothing. What is nobody's fault but ours (a wrong
 * statement, a broken constraint) stays as it is.
 */
export function translate(error: unknown): unknown {
  if (CONFLICT.has(errorCode(error) ?? '')) {
    return new TransactionConflict('the database asks to try the transaction again', { cause: error });
  }
  if (isUnavailable(error)) {
    return new GenesisError(
      'UNAVAILABLE',
      'The database cannot be reached. Nothing was written; try again.',
      {},
      { cause: error },
    );
  }
  return error;
}
