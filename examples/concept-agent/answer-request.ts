import type { Logger } from 'pino';
import { backoffDelay, pause, type Backoff } from './backoff.ts';
import type { Concept, Preferences } from './generate-concepts.ts';
import { OutageError, RefusedError, type Answer, type Delivery, type GenesisApi } from './genesis-api.ts';
import type { ConceptRequest } from './read-record.ts';

export interface AnswerTools {
  readonly api: GenesisApi;
  readonly generate: (preferences: Preferences, signal: AbortSignal) => Promise<readonly Concept[]>;
  readonly logger: Logger;
  /** Aborts when the agent stops: what waits then gives up. */
  readonly stopping: AbortSignal;
  readonly backoff?: Backoff;
}

/** Tries of what fails by itself: making concepts, or a request that the API refuses. Outages are not counted. */
const MOST_TRIES = 5;
const BACKOFF: Backoff = { first: 250, most: 30_000 };

/**
 * Answers a request, however long that takes.
 *
 * @throws RefusedError when the API refused it in every try
 * @throws the reason of `stopping`, wrapped: the request is not answered, and must be read again after the next start
 */
export async function answerRequest(request: ConceptRequest, tools: AnswerTools): Promise<Delivery> {
  const waiting = await persist(() => tools.api.isOutstanding(request), request, tools);
  if (!waiting) return 'too late';
  tools.logger.debug({ request: request.requestId }, 'making concepts');
  const answer = await makeAnswer(request, tools);
  return persist(() => tools.api.deliver(request, answer), request, tools);
}

/** The author is told when there will be no concepts, rather than left to wait for the time limit. */
async function makeAnswer(request: ConceptRequest, tools: AnswerTools): Promise<Answer> {
  const { generate, logger, stopping, backoff = BACKOFF } = tools;
  const preferences = { seed: request.requestId, themes: request.themes, styles: request.styles };
  for (let attempt = 1; ; attempt += 1) {
    try {
      return { kind: 'concepts', concepts: await generate(preferences, stopping) };
    } catch (error) {
      stopping.throwIfAborted();
      logger.warn({ err: error, request: request.requestId, attempt }, 'making concepts failed');
      if (attempt === MOST_TRIES) return { kind: 'failure', reason: 'GENERATION_FAILED' };
      await pause(backoffDelay(attempt, backoff), stopping);
    }
  }
}

/** Repeats a call: without end while the API is away, a few times when it refuses. */
async function persist<T>(call: () => Promise<T>, request: ConceptRequest, tools: AnswerTools): Promise<T> {
  const { logger, stopping, backoff = BACKOFF } = tools;
  let refusals = 0;
  for (let attempt = 1; ; attempt += 1) {
    stopping.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (error instanceof RefusedError) refusals += 1;
      else if (!(error instanceof OutageError)) throw error;
      if (refusals === MOST_TRIES) throw error;
      const wait = Math.max(backoffDelay(attempt, backoff), error instanceof OutageError ? error.retryAfter : 0);
      logger.warn(
        { error: error.message, request: request.requestId, attempt, wait },
        'the API did not take it; trying again',
      );
      await pause(wait, stopping);
    }
  }
}
