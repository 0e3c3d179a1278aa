import type pg from 'pg';
import type { GroupCommit } from '../../src/commands/group-commit.ts';
import type { CommandOutcome } from '../../src/commands/ports.ts';
import type { AuditStore, ProjectionStore, Wire } from '../../src/events/ports.ts';
import type { Finding } from '../../src/events/findings.ts';
import { rebuild, type RebuildCounts, type RebuildOptions } from '../../src/events/rebuild.ts';
import { verify, type VerifyCounts, type VerifyOptions } from '../../src/events/verify.ts';
import type { Command } from '../../src/genesis/commands.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { encodeEnvelope, recordHeaders } from '../../src/outbox/envelope.ts';
import { shardOf } from '../../src/outbox/shard.ts';
import { createAuditStore } from '../../src/postgres/audit-store.ts';
import { createCommandStore } from '../../src/postgres/command-store.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { accepted, createSession, groupCommit, request, silent } from '../support/commands.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const SHARDS = 8;
export const DAY = 86_400_000;

export const WIRE: Wire = {
  value: encodeEnvelope,
  headers: recordHeaders,
  shard: (sessionId) => shardOf(sessionId, SHARDS),
};

type Told = Parameters<RebuildOptions['onProblem']>[0];

/** A database with commands that are really taken, and both programs that look after its projection. */
export class AuditRig {
  readonly pool: pg.Pool;
  readonly commands: GroupCommit;
  readonly store: AuditStore & ProjectionStore;
  readonly #database: TestDatabase;

  /** @param topic The rows are for. */
  constructor(database: TestDatabase, topic = 'domain-events') {
    this.#database = database;
    this.pool = createPool({ url: database.url, poolSize: 8 }, 'test', silent);
    this.commands = groupCommit(createCommandStore(this.pool), { destination: { topic, shards: SHARDS } });
    this.store = createAuditStore(this.pool);
  }

  get url(): string {
    return this.#database.url;
  }

  /** Creates a session and sends it these commands. */
  async session(...commands: readonly Command[]): Promise<SessionId> {
    const { sessionId } = accepted(await this.commands.execute(request(createSession()))).answer;
    for (const command of commands) accepted(await this.send(sessionId, command));
    return sessionId;
  }

  send(sessionId: SessionId, command: Command, role: 'author' | 'agent' = 'author'): Promise<CommandOutcome> {
    return this.commands.execute(request(command, { sessionId, actor: { ...request(command).actor, role } }));
  }

  async verify(options: Partial<VerifyOptions> = {}): Promise<VerifyCounts & { readonly found: readonly Finding[] }> {
    const found: Finding[] = [];
    const onFinding = (finding: Finding) => found.push(finding);
    const rest = { store: this.store, wire: WIRE, retention: 7 * DAY, sessionId: null, onProgress: () => undefined };
    return { ...(await verify({ ...rest, onFinding, ...options })), found };
  }

  async findings(options?: Partial<VerifyOptions>): Promise<readonly Finding[]> {
    return (await this.verify(options)).found;
  }

  /** What it told of, besides what it counted. */
  async rebuild(options: Partial<RebuildOptions> = {}): Promise<RebuildCounts & { readonly told: readonly Told[] }> {
    const told: Told[] = [];
    const tell = (one: Told) => told.push(one);
    const rest = { store: this.store, sessionId: null, after: null, dryRun: false, onProgress: () => undefined };
    return { ...(await rebuild({ ...rest, onRebuilt: tell, onProblem: tell, ...options })), told };
  }

  /** Does what the triggers and grants forbid to everybody. */
  async tamper(text: string, values: readonly unknown[]): Promise<void> {
    const client = await this.pool.connect();
    let broken = true;
    try {
      await client.query('BEGIN');
      await client.query('SET LOCAL session_replication_role = replica');
      await client.query('GRANT UPDATE, DELETE ON domain_events TO CURRENT_USER');
      await client.query(text, [...values]);
      await client.query('COMMIT');
      broken = false;
    } finally {
      client.release(broken);
    }
  }

  /** The row of a session, as PostgreSQL writes it. */
  async row(sessionId: SessionId): Promise<unknown> {
    const text = 'SELECT to_json(g) AS row FROM genesis_sessions AS g WHERE session_id = $1';
    return (await this.pool.query<{ row: unknown }>(text, [sessionId])).rows[0]?.row;
  }

  async stop(): Promise<void> {
    await this.commands.stop();
    await this.pool.end();
    await this.#database.drop();
  }
}

export async function startAuditRig(): Promise<AuditRig> {
  const rig = new AuditRig(await createTestDatabase());
  await rig.commands.start();
  return rig;
}
