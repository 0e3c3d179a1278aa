import type { Socket } from 'node:net';
import { withHints } from '../../src/bin/reading.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId, UserId } from '../../src/genesis/ids.ts';
import { EventFeed } from '../../src/events/event-feed.ts';
import { createApp } from '../../src/http/app.ts';
import type { StreamLimits } from '../../src/http/event-streams.ts';
import type { HttpDependencies } from '../../src/http/ports.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { createOperations } from '../../src/outbox/operations/operations.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createNewEventsReader } from '../../src/postgres/new-events-reader.ts';
import { createOperationsStore } from '../../src/postgres/outbox-admin.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { createQueries } from '../../src/postgres/queries.ts';
import { createRead, type Read } from '../../src/postgres/read.ts';
import { readSession } from '../../src/postgres/session-reader.ts';
import { accepted, createSession, groupCommit, request, silent } from '../support/commands.ts';
import { createApi } from './api-harness.ts';

export interface ReplicaOptions {
  readonly streamLimits?: Partial<StreamLimits>;
  /** Milliseconds between the feed's looks. */
  readonly lookInterval?: number;
  readonly stopGrace?: number;
}

export type Replica = Awaited<ReturnType<typeof startReplica>>;

/** One API process' worth of API on a database, over real sockets, wired as in production. */
export async function startReplica(url: string, { streamLimits = {}, lookInterval, stopGrace }: ReplicaOptions = {}) {
  const pool = createPool({ url, poolSize: 6 }, 'genesis-test', silent);
  const statements: string[] = [];
  const read = noting(createRead(pool, 5_000), statements);
  const feed = new EventFeed(createNewEventsReader(read), {
    ...(lookInterval === undefined ? {} : { lookInterval }),
    onOutage: () => statements.push('outage'),
    onRecovery: () => statements.push('recovery'),
  });
  const writer = groupCommit(createCommandStore(pool));
  const commands = withHints(writer, feed);
  const { dependencies } = createApi({
    commands,
    feed,
    streamLimits,
    queries: createQueries(read),
    operations: createOperations(createOperationsStore(read, pool, 5_000)),
    sessions: { read: (sessionId) => readSession(createRead(pool, 5_000), sessionId) },
    logger: silent,
    ...(stopGrace === undefined ? {} : { limits: { stopGrace } }),
  });
  await feed.start();
  await writer.start();
  const server = createHttpServer(dependencies);
  await server.start();

  const execute = async (sessionId: SessionId, command: Command, user = 'alice') => {
    const actor = { userId: user as UserId, role: 'author' as const };
    return accepted(await commands.execute(request(command, { sessionId, actor }))).answer;
  };
  return {
    address: server.address(),
    /** Names of the statements that were read with. */
    statements,
    feed,
    dependencies,
    execute,
    createSession: async (user = 'alice') =>
      (await execute(request(createSession()).sessionId, createSession(), user)).sessionId,
    stopServer: () => server.stop(),
    async stop() {
      await server.stop();
      await writer.stop();
      await feed.stop();
      await pool.end();
    },
  };
}

function noting(read: Read, statements: string[]): Read {
  return (statement, values) => {
    statements.push(statement.name);
    return read(statement, values);
  };
}

/** The same API, where a test can look at the server's side of each socket. */
export async function listenOpenly(dependencies: HttpDependencies) {
  const { fastify } = createApp(dependencies);
  const sockets = new Set<Socket>();
  fastify.server.on('connection', (socket) => sockets.add(socket));
  const address = await fastify.listen({ host: '127.0.0.1', port: 0 });
  return { address, sockets, close: () => fastify.close() };
}

export const feedback = (text: string): Command => ({ type: 'SubmitFeedback', payload: { feedback: text } });
