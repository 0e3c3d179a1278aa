import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { SessionId } from '../../src/genesis/ids.ts';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startAuditRig, type AuditRig } from '../events/audit-rig.ts';
import { createEmptyDatabase } from '../support/database.ts';

const MAIN = new URL('../../src/bin/main.ts', import.meta.url).pathname;

interface Output {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

// Each of these starts programs: a matter of seconds on a busy machine.
describe('genesis verify and genesis rebuild', { timeout: 120_000 }, () => {
  let rig: AuditRig;
  let ids: readonly SessionId[];
  beforeAll(async () => {
    rig = await startAuditRig();
    ids = [await rig.session(submitFeedback()), await rig.session(updateSession()), await rig.session()];
  });
  afterAll(() => rig.stop());

  const genesis = (...args: readonly string[]) => genesisOn(rig.url, ...args);

  const genesisOn = (url: string, ...args: readonly string[]) => genesisWith({ DATABASE_URL: url }, ...args);

  async function genesisWith(variables: Readonly<Record<string, string>>, ...args: readonly string[]): Promise<Output> {
    const env = { ...process.env, KAFKA_BROKERS: 'localhost:9092', ...variables };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return { code, out, err };
  }

  const spoil = (id: SessionId | undefined) =>
    rig.tamper(`UPDATE genesis_sessions SET title = 'secret', version = 77 WHERE session_id = $1`, [id]);

  it('say that everything agrees', async () => {
    const { code, out, err } = await genesis('verify');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toMatch(
      /^assumed: .* stay for 7 days \(the default of OUTBOX_RETENTION\)\n3 sessions with 5 events in \d+\.\d s: everything agrees\n$/u,
    );
    expect(await genesis('verify', '--json')).toEqual({
      code: 0,
      out: '{"sessions":3,"events":5,"differences":0,"retention":{"seconds":604800,"from":"default"}}\n',
      err: '',
    });
  });

  it('take the retention of published rows from the configuration, and say which they assumed', async () => {
    const spare = await startAuditRig();
    onTestFinished(() => spare.stop());
    const gone = await spare.session();
    await spare.tamper(`UPDATE domain_events SET created_at = created_at - interval '2 hours'`, []);
    await spare.tamper(
      `UPDATE genesis_sessions SET created_at = created_at - interval '2 hours', updated_at = updated_at - interval '2 hours'`,
      [],
    );
    await spare.tamper('DELETE FROM event_outbox WHERE key = $1', [gone]);
    const verify = (retention: string, ...args: readonly string[]) =>
      genesisWith({ DATABASE_URL: spare.url, OUTBOX_RETENTION: retention }, 'verify', ...args);
    const [cleaned, early, forever, told] = await Promise.all([
      verify('3600'),
      verify('86400'),
      verify('off', '--json'),
      verify('86400', '--retention-days', '0.05'),
    ]);
    expect(cleaned).toMatchObject({ code: 0, err: '' });
    expect(cleaned.out).toContain('assumed: published outbox rows stay for 1 hour (OUTBOX_RETENTION)\n');
    expect(early.code).toBe(1);
    expect(early.out).toContain(`OUTBOX_MISSING  session ${gone}\n`);
    expect(early.out).toContain('assumed: published outbox rows stay for 1 day (OUTBOX_RETENTION)\n');
    expect(forever.out).toMatch(/OUTBOX_MISSING.*\n.*"retention":\{"seconds":null,"from":"OUTBOX_RETENTION"\}\}\n$/u);
    expect(told).toMatchObject({ code: 0 });
    expect(told.out).toContain('stay for 72 minutes (--retention-days)');
  });

  it('tell a difference, how to mend it, and mend it so', async () => {
    const [first, second] = ids;
    const before = [await rig.row(first as SessionId), await rig.row(second as SessionId)];
    await spoil(first);
    await spoil(second);
    const found = await genesis('verify', '--session', String(second));
    expect(found.code).toBe(1);
    expect(found.out).toMatch(
      `PROJECTION_DIFFERS  session ${second}\n  Its row in genesis_sessions is not what its events say: title is another; version is 77, not 2\n  → npx genesis rebuild --session ${second}\n`,
    );
    expect(found.out).not.toContain('secret');
    expect(found.out.trimEnd().split('\n').at(-1)).toMatch(/^1 session with 2 events in .*: 1 difference$/u);

    const dry = await genesis('rebuild', '--dry-run');
    expect(dry).toMatchObject({ code: 0, err: '' });
    expect(dry.out).toContain(`would rebuild session ${first}: title is another; version is 77, not 2\n`);
    const told = (await genesis('rebuild', '--dry-run', '--session', String(first), '--json')).out
      .trimEnd()
      .split('\n');
    expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([
      { rebuilt: first, detail: 'title is another; version is 77, not 2' },
      { sessions: 1, events: 2, rebuilt: 1, problems: 0, dry_run: true },
    ]);
    expect((await genesis('rebuild', '--session', String(second))).out).toMatch(
      /^rebuilt session .*\n1 session with 2 events in .*: rebuilt 1\n$/u,
    );
    expect((await genesis('rebuild')).out).toContain(`rebuilt session ${first}`);
    expect([await rig.row(first as SessionId), await rig.row(second as SessionId)]).toEqual(before);
    expect(await rig.findings()).toEqual([]);
  });

  it.each(['verify', 'rebuild'])('%s fails for a session that does not exist, and says so', async (command) => {
    const id = '01900000-0000-7000-8000-0000000000aa';
    expect(await genesis(command, '--session', id)).toEqual({
      code: 1,
      out: '',
      err: `genesis: there is no such session: ${id}\n`,
    });
  });

  it.each(['verify', 'rebuild'])('%s says what to do about a database that was never migrated', async (command) => {
    const empty = await createEmptyDatabase();
    onTestFinished(() => empty.drop());
    const { code, err } = await genesisOn(empty.url, command);
    expect(code).toBe(1);
    expect(err).toMatch(/^genesis: the database has no Genesis tables: run `.*genesis migrate` first\n$/u);
  });

  it('fail when something cannot be mended, and say what is to be done', async () => {
    const third = ids[2] as SessionId;
    await rig.tamper('UPDATE domain_events SET event_version = 99 WHERE aggregate_id = $1', [third]);
    const { code, out } = await genesis('rebuild');
    expect(code).toBe(1);
    expect(out).toContain(`EVENT_TOO_NEW  session ${third}\n`);
    const told = (await genesis('rebuild', '--session', third, '--json')).out.trimEnd().split('\n');
    expect(told.map((line) => JSON.parse(line) as object)).toMatchObject([
      { code: 'EVENT_TOO_NEW', session_id: third, mend: 'Run the newest version of this program' },
      { sessions: 1, rebuilt: 0, problems: 1, dry_run: false },
    ]);
    expect(out).toContain('→ Run the newest version of this program\n');
    const lines = (await genesis('verify', '--json')).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([
      { code: 'OUTBOX_DIFFERS', session_id: third, detail: 'version 1: payload of the PENDING row' },
      { code: 'EVENT_TOO_NEW', session_id: third, detail: 'version 1: Genesis.Session.Created, event_version 99' },
      { differences: 2, retention: { from: 'default' } },
    ]);
    await rig.tamper('UPDATE domain_events SET event_version = 1 WHERE aggregate_id = $1', [third]);
  });

  it('rebuild ends by a signal, and says where to go on', async () => {
    const holder = await rig.pool.connect();
    await spoil(ids[1]);
    await holder.query('SET idle_in_transaction_session_timeout = 0');
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM genesis_sessions WHERE session_id = $1 FOR UPDATE', [ids[1]]);
    const env = { ...process.env, DATABASE_URL: rig.url, KAFKA_BROKERS: 'localhost:9092' };
    const child = spawn(process.execPath, [MAIN, 'rebuild', '--after', String(ids[0])], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'genesis-rebuild' AND wait_event_type = 'Lock'`;
    await expect.poll(async () => (await rig.pool.query(waiting)).rowCount, { timeout: 60_000 }).toBe(1);
    child.kill('SIGTERM');
    await holder.query('ROLLBACK');
    holder.release(true);
    const [err, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number | null]>]);
    expect(code).toBe(1);
    const [, after] =
      /ended by SIGTERM before it was done\. To go on: npx genesis rebuild --after (\S+)\n$/u.exec(err) ?? [];
    expect(ids).toContain(after);
    await rig.rebuild({ after: after as SessionId });
    expect(await rig.findings()).toEqual([]);
  });
});
