import type { Logger } from 'pino';
import type { CommandService } from '../commands/ports.ts';
import { EventFeed } from '../events/event-feed.ts';
import { createNewEventsReader } from '../postgres/new-events-reader.ts';
import { createQueries } from '../postgres/queries.ts';
import type { Read } from '../postgres/read.ts';

/** The reading side; the caller starts the feed. */
export function createReading(read: Read, logger: Logger) {
  const feed = new EventFeed(createNewEventsReader(read), {
    onOutage: (error) => logger.warn({ err: error }, 'event streams wait: new events cannot be read'),
    onRecovery: () => logger.info('event streams go on'),
  });
  return { queries: createQueries(read), feed };
}

/** Tells the streams of a session at once what was written through this process; what others write they find by looking. */
export function withHints(commands: CommandService, feed: EventFeed): CommandService {
  return {
    async execute(request) {
      const outcome = await commands.execute(request);
      if (outcome.kind === 'accepted' && !outcome.replayed) feed.wake(outcome.answer.sessionId);
      return outcome;
    },
  };
}
