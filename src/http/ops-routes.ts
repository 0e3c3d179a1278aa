import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Operations } from '../outbox/operations/operations.ts';
import { UnknownShard } from '../outbox/operations/operations.ts';
import { ROW_ACTIONS, type Deed, type RowAction } from '../outbox/operations/ports.ts';
import { mustOperate } from './access.ts';
import { decodeCursor } from './cursor.ts';
import { malformed } from './json-body.ts';
import { nextCursor, pageOf } from './list-page.ts';
import { named } from './openapi/operations.ts';
import {
  actionBody,
  figuresBody,
  pauseBody,
  previewBody,
  publicationBody,
  resultBody,
  rowBody,
  shardsBody,
} from './ops-bodies.ts';
import { askedAction, askedPause, askedPreview, filterOf, invalid, rowCursor, rowPosition } from './ops-requests.ts';
import {
  OperatorActionPageSchema,
  OperatorActionQuery,
  OutboxFiguresSchema,
  OutboxPageSchema,
  OutboxRowQuery,
  PauseSchema,
  PreviewSchema,
  RowActionSchema,
  SessionPublicationSchema,
  ShardTableSchema,
} from './ops-schemas.ts';
import { OPS, sessionIdOf } from './paths.ts';
import type { HttpDependencies } from './ports.ts';
import { registerReads, type ReadScope } from './read-scope.ts';
import { sessionNotFound } from './refusals.ts';
import { principalOf } from './request-context.ts';
import { NoQuery, PAGE, SessionParams } from './schemas.ts';

type Dependencies = Pick<HttpDependencies, 'operations' | 'newId'>;

/**
 * What operators look at and do: the outbox, its relays, and the audit trail. Nobody else learns anything here: 403 comes
 * before 404 and 422. Behind `authenticate`.
 */
export function registerOpsRoutes(app: FastifyInstance, dependencies: Dependencies): void {
  registerReads(app, (scope) => {
    readOutbox(scope, dependencies);
    changeRows(scope, dependencies);
    readShards(scope, dependencies);
    pauseShards(scope, dependencies);
    listActions(scope, dependencies);
  });
}

function readOutbox(scope: ReadScope, { operations }: Dependencies): void {
  const figures = {
    ...named('readOutbox').schema,
    querystring: NoQuery,
    response: { 200: OutboxFiguresSchema },
  };
  scope.get(`${OPS}/outbox`, { schema: figures }, async (request) => {
    mustOperate(principalOf(request));
    return figuresBody((await operations.backlogs()).backlogs);
  });

  const list = {
    ...named('listOutboxRows').schema,
    querystring: OutboxRowQuery,
    response: { 200: OutboxPageSchema },
  };
  scope.get(`${OPS}/outbox/rows`, { schema: list }, async (request) => {
    const { limit = PAGE.default, cursor } = request.query;
    const position = cursor === undefined ? null : rowPosition(cursor);
    mustOperate(principalOf(request));
    const { rows, next } = await operations.list(filterOf(request.query), position, limit);
    return { items: rows.map(rowBody), next_cursor: rowCursor(next) };
  });

  const publication = {
    ...named('readPublication').schema,
    params: SessionParams,
    querystring: NoQuery,
    response: { 200: SessionPublicationSchema },
  };
  scope.get(`${OPS}/sessions/:session_id/publication`, { schema: publication }, async (request) => {
    const sessionId = sessionIdOf(request.params);
    mustOperate(principalOf(request));
    const found = await operations.publicationOf(sessionId);
    if (found === null) throw sessionNotFound();
    return publicationBody(found);
  });
}

const NAMES = { retry: 'retryOutboxRows', discard: 'discardOutboxRows' } as const satisfies Record<RowAction, string>;

function changeRows(scope: ReadScope, { operations, newId }: Dependencies): void {
  const preview = {
    ...named('previewOutboxAction').schema,
    querystring: NoQuery,
    response: { 200: PreviewSchema },
  };
  scope.post(`${OPS}/outbox/preview`, { schema: preview }, async (request) => {
    mustOperateOn(request);
    const { action, filter, force = false } = askedPreview(request.body);
    return previewBody(action, await operations.preview({ action, filter: filterOf(filter), force }));
  });

  for (const action of ROW_ACTIONS) {
    const schema = { ...named(NAMES[action]).schema, querystring: NoQuery, response: { 200: RowActionSchema } };
    scope.post(`${OPS}/outbox/${action}`, { schema }, async (request) => {
      mustOperateOn(request);
      const { filter, token, reason, force } = askedAction(action, request.body);
      const deed = deedOf(request, newId(), reason, force ? { ...filter, force } : filter);
      const result = await operations.act({ action, filter: filterOf(filter), force, token, deed });
      return resultBody(action, deed.callId, result);
    });
  }
}

function readShards(scope: ReadScope, { operations }: Dependencies): void {
  const schema = { ...named('listShards').schema, querystring: NoQuery, response: { 200: ShardTableSchema } };
  scope.get(`${OPS}/shards`, { schema }, async (request) => {
    mustOperate(principalOf(request));
    const { relays, backlogs } = await operations.backlogs();
    return shardsBody(relays, backlogs);
  });
}

function pauseShards(scope: ReadScope, { operations, newId }: Dependencies): void {
  for (const [name, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    const schema = { ...named(`${name}Shards`).schema, querystring: NoQuery, response: { 200: PauseSchema } };
    scope.post(`${OPS}/shards/${name}`, { schema }, async (request) => {
      mustOperateOn(request);
      const { shards, reason = null } = askedPause(request.body);
      const deed = deedOf(request, newId(), reason, { shards });
      const asked = shards === 'all' ? null : shards;
      return pauseBody(deed.callId, await setPaused(operations, asked, paused, deed));
    });
  }
}

async function setPaused(operations: Operations, shards: readonly number[] | null, paused: boolean, deed: Deed) {
  try {
    return await operations.setPaused(shards, paused, deed);
  } catch (error) {
    if (error instanceof UnknownShard) throw invalid([{ pointer: '/shards', detail: error.message }]);
    throw error;
  }
}

function listActions(scope: ReadScope, { operations }: Dependencies): void {
  const schema = {
    ...named('listOperatorActions').schema,
    querystring: OperatorActionQuery,
    response: { 200: OperatorActionPageSchema },
  };
  scope.get(`${OPS}/actions`, { schema }, async (request) => {
    const { limit = PAGE.default, cursor, action = null, actor = null, call_id: callId } = request.query;
    const before = cursor === undefined ? null : Number(decodeCursor('actions', cursor));
    mustOperate(principalOf(request));
    const asked = { action, actor, callId: callId?.toLowerCase() ?? null, before, limit: limit + 1 };
    const { rows, more } = pageOf(await operations.actions(asked), limit);
    return { items: rows.map(actionBody), next_cursor: nextCursor('actions', rows.at(-1)?.id.toString(), more) };
  });
}

/** For calls with a body: whether there is one is told before anything else. */
function mustOperateOn(request: FastifyRequest): void {
  if (request.body === undefined) throw malformed('The body is empty; send a JSON object, {} at least');
  mustOperate(principalOf(request));
}

function deedOf(request: FastifyRequest, callId: string, reason: string | null, filter: object): Deed {
  return { callId, actor: principalOf(request).userId, via: 'http', reason, filter: JSON.stringify(filter) };
}
