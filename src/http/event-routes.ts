import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import type { Position } from '../events/ports.ts';
import type { SessionId } from '../genesis/ids.ts';
import { acceptsEventStream } from './accepts-event-stream.ts';
import { decodeCursor } from './cursor.ts';
import { eventBody } from './event-body.ts';
import { DEFAULT_STREAM_LIMITS, EventStreams, STREAM_HEADERS } from './event-streams.ts';
import { malformed } from './json-body.ts';
import { nextCursor } from './list-page.ts';
import { named } from './openapi/operations.ts';
import { sessionIdOf, SESSIONS } from './paths.ts';
import type { HttpDependencies } from './ports.ts';
import { registerReads } from './read-scope.ts';
import { contextOf, principalOf } from './request-context.ts';
import { lastEventIdOf } from './request-headers.ts';
import { EventListQuery, EventListSchema, PAGE, SessionParams } from './schemas.ts';
import { visibleSession } from './visible-session.ts';

type Dependencies = Pick<HttpDependencies, 'queries' | 'sessions' | 'feed' | 'streamLimits'>;
type Query = Static<typeof EventListQuery>;

/**
 * The history of a session: page by page as JSON, or as a stream of Server-Sent Events that goes on with what happens. Both at
 * one URL and under the same rules; Accept decides. Behind `authenticate`.
 */
export function registerEventRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  const streams = new EventStreams(dependencies.feed, { ...DEFAULT_STREAM_LIMITS, ...dependencies.streamLimits });
  // Before the server waits for its connections: these would never end by themselves.
  app.addHook('preClose', async () => streams.close());
  registerReads(app, (reads) => {
    const schema = {
      ...named('listEvents').schema,
      params: SessionParams,
      querystring: EventListQuery,
      response: { 200: EventListSchema },
    };
    reads.get(`${SESSIONS}/:session_id/events`, { schema }, async (request, reply) => {
      reply.header('vary', 'accept');
      const sessionId = sessionIdOf(request.params);
      if (!acceptsEventStream(request.headers.accept)) {
        return readPage(dependencies, request, sessionId, request.query);
      }
      const position = { sessionId, after: streamStart(request.headers, request.query) };
      await visibleSession(dependencies.sessions, request, sessionId);
      // Last, so that nothing can happen in between: this server may have begun to stop meanwhile.
      streams.assertRoom();
      return openStream(streams, position, request, reply);
    });
  });
}

async function readPage(
  { queries, sessions }: Dependencies,
  request: FastifyRequest,
  sessionId: SessionId,
  query: Query,
) {
  const after = pageStart(query);
  await visibleSession(sessions, request, sessionId);
  const { events, more } = await queries.readHistory(sessionId, after, query.limit ?? PAGE.default);
  const last = events.at(-1)?.aggregateVersion;
  return { items: events.map(eventBody), next_cursor: nextCursor('events', last?.toString(), more) };
}

/** @throws GenesisError MALFORMED_REQUEST */
function pageStart({ after, cursor }: Query): number {
  if (cursor === undefined) return after ?? 0;
  if (after !== undefined) throw malformed('A page begins at a cursor or after a version, not at both');
  return Number(decodeCursor('events', cursor));
}

/** A browser that connects again repeats the URL and adds Last-Event-ID: the header knows better. @throws GenesisError MALFORMED_REQUEST */
function streamStart(headers: FastifyRequest['headers'], { after, cursor, limit }: Query): number {
  if (cursor !== undefined || limit !== undefined) {
    throw malformed('A stream has no pages: it takes neither cursor nor limit');
  }
  return lastEventIdOf(headers) ?? after ?? 0;
}

function openStream(
  streams: EventStreams,
  position: Position,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (request.method === 'HEAD') return reply.headers(STREAM_HEADERS).send('');
  const { expiresAt } = principalOf(request);
  // What hooks have set so far; nobody else will write it once the answer is ours.
  for (const [name, value] of Object.entries(reply.getHeaders())) {
    if (value !== undefined) reply.raw.setHeader(name, value);
  }
  contextOf(request).streaming = true;
  reply.hijack();
  streams.open(reply.raw, { position, expiresAt });
  return reply;
}
