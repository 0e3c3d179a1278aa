import type { Logger } from 'pino';

const MISSING =
  'the figures of the outbox are missing: genesis_outbox_…, genesis_shard_… and genesis_relay_members are absent, and alerts that need them silent';

/** @param error Of the last question to the database; null: it was answered, or is not answered yet. */
type TellMissing = (found: boolean, error: unknown) => void;

/**
 * Tells the log when the figures go missing, each reason once, and when they are there again. That they are late once is not told: a
 * process may have just begun, or a machine be busy for a moment.
 *
 * @param wait Milliseconds after which they are late.
 */
export function tellMissingFigures(logger: Pick<Logger, 'info' | 'warn'>, wait: number): TellMissing {
  let told: string | null = null;
  let wasLate = false;
  return (found, error) => {
    const late = !found && error === null;
    const isNews = !late || wasLate;
    wasLate = late;
    if (found && told !== null) logger.info('the figures of the outbox are there again');
    const reason = found ? null : reasonOf(error, wait);
    if (isNews && reason !== null && reason !== told) logger.warn({ reason }, MISSING);
    if (isNews) told = reason;
  };
}

function reasonOf(error: unknown, wait: number): string {
  // What the database said is in the cause.
  if (error instanceof Error) return error.cause instanceof Error ? error.cause.message : error.message;
  return error === null ? `reading them takes longer than ${wait} ms` : 'it is not known why';
}
