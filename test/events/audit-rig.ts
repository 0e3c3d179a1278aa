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
import { createTestDatabase } from '../support/database.ts';

const SHARDS = 8;
export const DAY = 86_400_000;

export const WIRE: Wire = {
  value: encodeEnvelope,
  headers: recordHeaders,
  shard: (sessionId) => shardOf(sessionId, SHARDS),
};

/** A database with commands that are really taken, and both programs that look after its projection. */
export interface AuditRig {
  readonly pool: pg.Pool;
  readonly commands: GroupCommit;
  readonly store: AuditStore & ProjectionStore;
  /** Creates a session and sends it these commands. */
  session(...commands: readonly Command[]): Promise<SessionId>;
  send(sessionId: SessionId, command: Command, role?: 'author' | 'agent'): Promise<CommandOutcome>;
  findings(options?: Partial<VerifyOptions>): Promise<readonly Finding[]>;
  verify(options?: Partial<VerifyOptions>): Promise<VerifyCounts & { readonly found: readonly Finding[] }>;
  rebuild(
    options?: Partial<RebuildOptions>,
  ): Promise<RebuildCounts & { readonly told: readonly { code: string; sessionId: SessionId }[] }>;
  /** Does what the triggers forbid to everybody. */
  tamper(text: string, values: readonly unknown[]): Promise<void>;
  stop(): Promise<void>;
}

export async function startAuditRig(): Promise<AuditRig> {
  const database = await createTestDatabase();
  const pool = createPool({ url: database.url, poolSize: 8 }, 'test', silent);
  const commands = groupCommit(createCommandStore(pool));
  await commands.start();
  const store = createAuditStore(pool);
  const rig: AuditRig = {
    pool,
    commands,
    store,
    async session(...sent) {
      const { sessionId } = accepted(await commands.execute(request(createSession()))).answer;
      for (const command of sent) accepted(await rig.send(sessionId, command));
      return sessionId;
    },
    send: (sessionId, command, role = 'author') =>
      commands.execute(request(command, { sessionId, actor: { ...request(command).actor, role } })),
    findings: async (options) => (await rig.verify(options)).found,
    async verify(options) {
      const found: Finding[] = [];
      const onFinding = (finding: Finding) => found.push(finding);
      const rest = { store, wire: WIRE, retention: 7 * DAY, sessionId: null, onProgress: () => undefined };
      return { ...(await verify({ ...rest, onFinding, ...options })), found };
    },
    async rebuild(options) {
      const told: { code: string; sessionId: SessionId }[] = [];
      const tell = (one: { code: string; sessionId: SessionId }) => told.push(one);
      const rest = { store, sessionId: null, after: null, dryRun: false, onProgress: () => undefined };
      return { ...(await rebuild({ ...rest, onRebuilt: tell, onProblem: tell, ...options })), told };
    },
    async tamper(text, values) {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await client.query('SET LOCAL session_replication_role = replica');
        await client.query('GRANT UPDATE, DELETE ON domain_events TO CURRENT_USER');
        await client.query(text, [...values]);
        await client.query('COMMIT');
        client.release();
      } catch (error) {
        client.release(true);
        throw error;
      }
    },
    async stop() {
      await commands.stop();
      await pool.end();
      await database.drop();
    },
  };
  return rig;
}
