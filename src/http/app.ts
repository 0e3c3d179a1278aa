import type { ServerResponse } from 'node:http';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { nothingHere, watchRoutes, type NoRoute } from './allowed-methods.ts';
import { createAnswerTracker, type AnswerTracker } from './answer-tracker.ts';
import { answerClientError } from './client-errors.ts';
import { Door, type Visitor } from './door.ts';
import { asGenesisError } from './error-translation.ts';
import { registerEventRoutes } from './event-routes.ts';
import { registerHealthRoutes } from './health-routes.ts';
import { malformed, parseJsonBody } from './json-body.ts';
import { registerOpenApi } from './openapi/document.ts';
import { registerReader } from './openapi/reader.ts';
import { registerOpsRoutes } from './ops-routes.ts';
import { measureAnswer, measureRefusal } from './measure.ts';
import { DEFAULT_LIMITS, type HttpDependencies, type HttpLimits } from './ports.ts';
import { registerQueryRoutes } from './query-routes.ts';
import { createRateLimit, rateLimited } from './rate-limit.ts';
import { contextOf, principalOf } from './request-context.ts';
import { isHost, isRepeated } from './request-headers.ts';
import { COMMANDS, SESSIONS } from './paths.ts';
import { FailureLog, logRequest } from './request-log.ts';
import { sendProblem } from './send-problem.ts';
import { registerSessionRoutes } from './session-routes.ts';
import { unauthenticated, type TokenVerifier } from './tokens.ts';
import { traceRequests } from './trace-requests.ts';
import { tooManyWaiting } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';

/** Milliseconds between looks for requests that are too slow. */
const TIMEOUT_SWEEP = 1_000;
/**
 * Share of REQUEST_TIMEOUT that a command waits for a place in a full queue: half of what it may wait in all. Whoever waits for the answer
 * sends nothing else on the connection; told at once, some thousand clients would ask again faster than they can be refused.
 */
const DOOR_SHARE = 0.2;
/** Milliseconds, at the most: less than a server that stops lets answers take, and than a body may, which nobody reads meanwhile. */
const MOST_AT_DOOR = 4_000;
/** Longer than any URL that Node lets in: a long id is refused as no UUID, after authentication, as every other. */
const NO_PARAM_LIMIT = 65_536;
/** The only body that this API reads (RFC 8259 knows no parameters; `charset=utf-8` is common and true). */
const JSON_IN_UTF8 = /^application\/json\s*(?:;\s*charset="?utf-8"?\s*)?$/i;

/** The API, not yet listening; and every answer that has begun and not ended. */
export interface HttpApp {
  readonly fastify: FastifyInstance;
  readonly open: ReadonlySet<ServerResponse>;
}

/** Assembles the API: what every request goes through, then the routes of each kind. */
export function createApp(dependencies: HttpDependencies): HttpApp {
  const limits = { ...DEFAULT_LIMITS, ...dependencies.limits };
  const answers = createAnswerTracker();
  const failures = new FailureLog(dependencies.logger);
  const fail: Fail = (error, request, reply) => {
    const refusal = asGenesisError(error);
    failures.log(refusal, request);
    measureRefusal(dependencies.meter, request, refusal.code);
    contextOf(request).place?.giveBack();
    return sendProblem(refusal, request, reply);
  };
  const app = createFastify(limits, answers, fail);
  // One more is closed at once, without an answer.
  app.server.maxConnections = limits.connections;
  app.server.on('request', (_request, response) => answers.begin(response));
  // Node would answer 417 without a body; nobody has to (RFC 9110, 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response));

  // Declared up front so that all requests keep one shape.
  app.decorateRequest('genesis', undefined);
  if (dependencies.tracer !== undefined) traceRequests(app, dependencies.tracer);
  const noRoute = watchRoutes(app);
  app.addHook('onRequest', (request, _reply, done) => done(refusalBeforeRouting(request, noRoute)));
  keepDoor(app, dependencies);
  app.addHook('onResponse', (request, reply, done) => {
    logRequest(dependencies.logger, request, reply);
    measureAnswer(dependencies.meter, request, reply);
    done();
  });
  app.setErrorHandler(fail);
  // For routes that find out themselves that there is nothing: files that do not exist.
  app.setNotFoundHandler((request, reply) => fail(nothingHere(), request, reply));
  readOnlyJson(app);

  // Before the routes, which it collects; all in plugins, so that they come in this order.
  registerOpenApi(app);
  registerReader(app);
  app.register(async (open) => registerHealthRoutes(open, dependencies));
  app.register(async (authenticated) => {
    authenticated.addHook('onRequest', (request) => authenticate(dependencies.tokens, request));
    limitRate(authenticated, dependencies.config.rateLimitPerUser);
    registerSessionRoutes(authenticated, dependencies);
    registerQueryRoutes(authenticated, dependencies);
    registerEventRoutes(authenticated, dependencies);
    registerOpsRoutes(authenticated, dependencies);
  });
  return { fastify: app, open: answers.open };
}

/** Answers an error, whatever it is. */
type Fail = (error: unknown, request: FastifyRequest, reply: FastifyReply) => FastifyReply;

function createFastify(limits: HttpLimits, answers: AnswerTracker, fail: Fail): FastifyInstance {
  return fastify({
    // Its own lines would repeat ours, and its request serializer writes URLs with their queries.
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.receiveTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionTimeout: limits.socketTimeout,
    http: {
      headersTimeout: limits.headersTimeout,
      connectionsCheckingInterval: TIMEOUT_SWEEP,
      // Checked by us, so that it is told as every other error.
      requireHostHeader: false,
    },
    routerOptions: { maxParamLength: NO_PARAM_LIMIT },
    // While it stops, what still arrives on an open connection is answered as usual, and that connection then closed.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      fail(error, request, reply);
    },
    clientErrorHandler: (error, socket) => answerClientError(error, socket, answers.pendingOn(socket)),
  });
}

/** What can be refused before a byte of the body is read. */
function refusalBeforeRouting(request: FastifyRequest, noRoute: NoRoute): GenesisError | undefined {
  const { headers, raw } = request;
  // RFC 9112, 3.2.
  if (
    headers.host === undefined ? raw.httpVersion === '1.1' : !isHost(headers.host) || isRepeated(raw.rawHeaders, 'host')
  )
    return malformed('There must be one Host header, with a host and no more than a port');
  return request.is404 ? noRoute(request.method, request.url) : undefined;
}

/** Commands that find the queue full wait for a place before their token and body cost anything: ADR 11. */
function keepDoor(app: FastifyInstance, { queue, config, meter }: HttpDependencies): void {
  if (queue === undefined) return;
  const door = new Door(queue, { patience: Math.min(config.requestTimeout * DOOR_SHARE, MOST_AT_DOOR) });
  meter?.watchDoor(door);
  app.addHook('onRequest', (request, reply, done) => {
    if (!isCommand(request)) return done();
    const context = contextOf(request);
    const visitor: Visitor = {
      connection: request.raw.socket,
      letIn(place) {
        context.place = place;
        // Whoever goes away gets no answer, so that nothing else of the request ends.
        reply.raw.once('close', () => place.giveBack());
        done();
      },
      turnAway: () => done(tooManyWaiting()),
    };
    door.come(visitor);
    // While nobody reads the body it ends only with the connection.
    if (context.place === null) request.raw.once('close', () => door.leave(visitor));
  });
}

function isCommand({ method, routeOptions }: FastifyRequest): boolean {
  return method === 'POST' && (routeOptions.url === COMMANDS || routeOptions.url === SESSIONS);
}

async function authenticate(tokens: TokenVerifier, request: FastifyRequest): Promise<void> {
  if (isRepeated(request.raw.rawHeaders, 'authorization')) throw unauthenticated('malformed');
  contextOf(request).principal = await tokens.verify(request.headers.authorization);
}

/** Behind `authenticate`, so that nobody's requests are counted to somebody else; before anything is read or looked up. */
function limitRate(app: FastifyInstance, perSecond: number): void {
  const limit = createRateLimit({ perSecond });
  app.addHook('onRequest', (request, _reply, done) => {
    const wait = limit.take(principalOf(request).userId);
    done(wait === 0 ? undefined : rateLimited(perSecond, wait));
  });
}

function readOnlyJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (!JSON_IN_UTF8.test(request.headers['content-type'] ?? '') || encoding.toLowerCase() !== 'identity') {
      const message = 'The body must be application/json in UTF-8, not compressed';
      done(new GenesisError('UNSUPPORTED_MEDIA_TYPE', message));
      return;
    }
    try {
      done(null, parseJsonBody(body as Buffer));
    } catch (error) {
      done(asGenesisError(error));
    }
  });
}
