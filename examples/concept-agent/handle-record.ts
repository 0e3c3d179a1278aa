import { answerRequest, type AnswerTools } from './answer-request.ts';
import type { DeadLetters } from './dead-letters.ts';
import { RefusedError } from './genesis-api.ts';
import { PoisonError, readEvent, readRequest, type ConceptRequest, type IncomingRecord } from './read-record.ts';
import { SeenEvents } from './seen-events.ts';
import { StreamCheck } from './stream-check.ts';
import type { AgentTracing } from './tracing.ts';

export interface HandlerTools extends AnswerTools {
  readonly deadLetters: Pick<DeadLetters, 'send'>;
  /** Absent: nothing is traced. */
  readonly tracing?: Pick<AgentTracing, 'process'>;
}

/** Resolves once a record is dealt with, one way or another; rejects only when the agent stops before. */
export type RecordHandler = (record: IncomingRecord) => Promise<void>;

/** Events and sessions that are remembered: some megabytes. */
const REMEMBERED = 10_000;

/** To be called with the records of a partition in their order. It lives longer than one membership in the group. */
export function createRecordHandler(tools: HandlerTools): RecordHandler {
  const { logger, deadLetters, tracing } = tools;
  const seen = new SeenEvents(REMEMBERED);
  const streams = new StreamCheck(REMEMBERED);

  const read = (record: IncomingRecord): ConceptRequest | null => {
    const event = readEvent(record);
    const place = streams.place(event);
    // An agent can do nothing about it. A consumer that builds a state must not go on with this session.
    if (place.kind === 'gap') logger.error({ session: event.sessionId, ...place }, 'events of a session are missing');
    return readRequest(event);
  };

  const answer = async (record: IncomingRecord, request: ConceptRequest): Promise<void> => {
    const traceId = request.traceparent?.split('-')[1];
    const about = { session: request.sessionId, request: request.requestId, trace_id: traceId };
    try {
      const delivery = await answerRequest(request, tools);
      logger.info(
        { ...about, delivery },
        delivery === 'too late' ? 'nobody waits for the answer' : 'answered a request',
      );
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      await deadLetters.send(record, error);
    }
  };

  return async (record) => {
    let request: ConceptRequest | null;
    try {
      request = read(record);
    } catch (error) {
      if (!(error instanceof PoisonError)) throw error;
      return deadLetters.send(record, error);
    }
    if (request === null) return;
    await seen.once(request.eventId, () =>
      tracing === undefined
        ? answer(record, request)
        : tracing.process(record, request, (traced) => answer(record, traced)),
    );
  };
}
