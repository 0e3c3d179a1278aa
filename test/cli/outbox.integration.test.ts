import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { userInfo } from 'node:os';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { startOutboxRig, type OutboxRig } from '../postgres/outbox-admin-rig.ts';
import { createEmptyDatabase } from '../support/database.ts';

const MAIN = new URL('../../src/bin/main.ts', import.meta.url).pathname;

let rig: OutboxRig;
let stuck: SessionId;
beforeEach(async () => {
  rig = await startOutboxRig();
  stuck = await rig.session(3, 1);
  await rig.send(stuck, 1);
  await rig.fail(stuck, 2, 'MESSAGE_TOO_LARGE');
});
afterEach(() => rig.stop());

interface Output {
  readonly out: string;
  readonly err: string;
  readonly code: typeof process.exitCode;
}

/** What the command prints, and its exit code, without a process of its own. */
async function genesis(...args: readonly string[]): Promise<Output> {
  const lines: string[] = [];
  const errors: string[] = [];
  const error = vi.spyOn(console, 'error').mockImplementation((line: string) => void errors.push(line));
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  process.exitCode = 0;
  try {
    const env = { DATABASE_URL: rig.url, KAFKA_BROKERS: 'localhost:9092' };
    const program = await createProgram({ run: () => Promise.reject(new Error('nothing is to run')) }, env, '1.2.3');
    await program.parseAsync(args, { from: 'user' });
    return { out: lines.join('\n'), err: errors.join('\n'), code: process.exitCode };
  } finally {
    error.mockRestore();
    log.mockRestore();
    process.exitCode = 0;
  }
}

const jsonOf = ({ out }: Output): unknown => JSON.parse(out);

describe('genesis outbox', () => {
  it('shows figures per shard and in all, and what waits for somebody', async () => {
    const { out, code } = await genesis('outbox');
    expect(code).toBe(0);
    const lines = out.split('\n');
    expect(lines[0]).toMatch(/^SHARD +PENDING +RETRY +HELD +FAILED +DISCARDED +ON HOLD +OLDEST$/);
    expect(lines[2]).toMatch(/^1 +1 +0 +1 +1 +0 +1 +\d+\.\d s$/);
    expect(lines[9]).toMatch(/^all +1 +0 +1 +1 +0 +1 +\d+\.\d s$/);
    expect(lines[10]).toBe('FAILED events wait for you: npx genesis outbox list --status FAILED');
    expect(jsonOf(await genesis('outbox', 'status', '--json'))).toMatchObject({
      total: { pending: 1, failed: 1, complete: true },
    });
  });

  it('lists rows with what keeps them, and so many as are asked for', async () => {
    const { out } = await genesis('outbox', 'list', '--limit', '1');
    expect(out).toMatch(
      / FAILED +2 +\S+ s +[0-9a-f-]{36} {2}the broker refused it for good: MESSAGE_TOO_LARGE; and no relay/,
    );
    expect(out).toMatch(/\n… there are more: --limit$/);
    const { out: lines } = await genesis('outbox', 'list', '--session', stuck, '--json');
    const rows = lines.split('\n').map((line) => JSON.parse(line) as object);
    expect(rows).toMatchObject([{ status: 'SENT' }, { status: 'FAILED' }, { waits_for: [{ reason: 'HELD' }, {}] }]);
    expect((await genesis('outbox', 'list', '--shard', '5')).out).toBe('no row fits');
  });

  it('says why a session waits, by its id or by that of a row, and what to do', async () => {
    const { out, code } = await genesis('outbox', 'why', stuck);
    expect(code).toBe(0);
    const id = await rig.idOf(stuck, 2);
    expect(out).toContain(
      '(sequence 2): the broker refused it for good: MESSAGE_TOO_LARGE; and no relay drains shard 1.',
    );
    expect(out).toContain(`→ npx genesis outbox retry --id ${id} --yes`);
    expect(out).toContain('→ Start a relay: npx genesis relay');
    expect(out).toContain('2 of its events are not published:');
    expect(out).toMatch(/Published last: event .* \(sequence 1\) at partition 1, offset 1/);
    expect((await genesis('outbox', 'why', String(id))).out).toContain('(sequence 2)');
    await rig.own([1]);
    const free = await rig.session(1, 1);
    expect((await genesis('outbox', 'why', free)).out).toContain('goes out in its turn');
    await rig.send(free, 1);
    expect((await genesis('outbox', 'why', free)).out).toContain('Everything is published.\n\nPublished last');
    const nobody = '01890a5d-ac96-774b-bcce-b302099a8057';
    await expect(genesis('outbox', 'why', nobody)).rejects.toThrow(`there is no such session: ${nobody}`);
    await expect(genesis('outbox', 'why', '99')).rejects.toThrow('there is no such row: 99');
  });

  it('shows what would be retried, and does it only when told so', async () => {
    const dry = await genesis('outbox', 'retry', '--shard', '1');
    expect(dry.code).toBe(0);
    expect(dry.out).toMatch(/^1 row would be retried \(FAILED → PENDING\):\n/);
    const [, command = ''] = /\n {2}npx genesis (outbox retry --shard 1 --expect \S+ --yes)$/.exec(dry.out) ?? [];
    expect(await rig.statuses(stuck)).toBe('SENT FAILED PENDING');

    const done = await genesis(...command.split(' '), '--reason', 'the limit was raised');
    expect(done.code).toBe(0);
    expect(done.out).toMatch(/^retried 1 row\nin the audit trail: npx genesis outbox actions --call \S+$/);
    expect(await rig.statuses(stuck)).toBe('SENT PENDING PENDING');
    await expect(genesis(...command.split(' '))).rejects.toMatchObject({ code: 'SELECTION_CHANGED' });

    const [, call = ''] = /--call (\S+)/.exec(done.out) ?? [];
    const trail = await genesis('outbox', 'actions', '--call', call);
    expect(trail.out).toMatch(/retry +event [0-9a-f-]{36} +the limit was raised$/);
    expect(jsonOf(await genesis('outbox', 'actions', '--json'))).toMatchObject({
      actor: userInfo().username,
      via: 'cli',
      action: 'retry',
      filter: { shard: 1 },
      affected: 1,
    });
    expect((await genesis('outbox', 'actions', '--actor', 'nobody')).out).toBe('nothing was done');
    expect((await genesis('outbox', 'retry')).out).toBe('no row fits that could be retried');
  });

  it('discards with a reason, under the name that was given', async () => {
    const id = String(await rig.idOf(stuck, 2));
    const options = ['--id', id, '--reason', 'nobody needs it', '--as', 'ida', '--yes', '--json'];
    expect(jsonOf(await genesis('outbox', 'discard', ...options))).toMatchObject({ action: 'discard', affected: 1 });
    expect(await rig.statuses(stuck)).toBe('SENT DISCARDED PENDING');
    expect(jsonOf(await genesis('outbox', 'actions', '--json'))).toMatchObject({
      actor: 'ida',
      reason: 'nobody needs it',
    });
    const again = await genesis('outbox', 'discard', ...options.slice(0, -1));
    expect(again).toMatchObject({ code: 1 });
    expect(again.out).toBe(
      `discarded 0 rows\nleft alone 1 row, whose status does not allow it or that somebody has locked: ${id}`,
    );
  });

  it('says what was named and does not exist, and that not all was done', async () => {
    const [second, third] = [String(await rig.idOf(stuck, 2)), String(await rig.idOf(stuck, 3))];
    const nothing = await genesis('outbox', 'discard', '--id', '98', '99', '--reason', 'x', '--yes');
    expect(nothing).toEqual({
      out: 'discarded 0 rows',
      err: 'genesis: there is no such row: 98\ngenesis: there is no such row: 99',
      code: 1,
    });
    const preview = await genesis('outbox', 'retry', '--id', '99');
    expect(preview).toMatchObject({ code: 1, err: 'genesis: there is no such row: 99' });
    const nobody = '01890a5d-ac96-774b-bcce-b302099a8057';
    const session = await genesis('outbox', 'retry', '--session', nobody, '--yes');
    expect(session).toMatchObject({ code: 1, err: `genesis: there is no such session: ${nobody}` });
    const event = await genesis('outbox', 'retry', '--event', nobody, '--yes');
    expect(event).toMatchObject({ code: 1, err: `genesis: there is no such event: ${nobody}` });

    const partly = await genesis('outbox', 'retry', '--id', second, third, '99', '--yes', '--json');
    expect(jsonOf(partly)).toMatchObject({ affected: 1, skipped: 1 });
    expect(partly).toMatchObject({ code: 1, err: 'genesis: there is no such row: 99' });
    const all = await genesis('outbox', 'discard', '--id', second, '--force', '--reason', 'x', '--yes');
    expect(all).toMatchObject({ code: 0, err: '' });
  });

  it('discards what may be on its way by force only', async () => {
    const free = await rig.session(1, 2);
    const id = String(await rig.idOf(free, 1));
    expect((await genesis('outbox', 'discard', '--id', id)).out).toBe('no row fits that could be discarded');
    const forced = await genesis('outbox', 'discard', '--id', id, '--force');
    expect(forced.out).toMatch(
      /npx genesis outbox discard --id \d+ --force --reason 'why it is given up' --expect \S+ --yes$/,
    );
    const why = await genesis('outbox', 'discard', '--id', id, '--force', '--reason', "it's too large");
    expect(why.out).toContain(String.raw`--reason 'it'\''s too large' --expect`);
    await genesis('outbox', 'discard', '--id', id, '--force', '--reason', 'x', '--yes');
    expect(await rig.statuses(free)).toBe('DISCARDED');
    expect(jsonOf(await genesis('outbox', 'actions', '--json'))).toMatchObject({
      filter: { ids: [Number(id)], force: true },
    });
  });
});

describe('genesis shards', () => {
  it('shows who drains what, and how far', async () => {
    const member = await rig.own([0, 1]);
    await rig.query(
      `UPDATE relay_shards SET position = 42, last_error = 'NOT_LEADER', last_progress_at = now() WHERE shard = 1`,
    );
    const { out } = await genesis('shards');
    expect(out.split('\n')[2]).toMatch(
      new RegExp(`^ +1 {2}active {2}${member} relay-a 4711 .* 1 +\\d+\\.\\d s +42 +\\S+ +NOT_LEADER$`),
    );
    expect(out.split('\n')[3]).toMatch(/^ +2 {2}free +– /);
    expect(out).toMatch(
      /\nRELAY +NAME +DELIVERY +ALIVE +JOINED +SHARDS\n +\d+ {2}relay-a 4711 {2}at-least-once {2}yes .* 0 1\n\n1 session on hold; 1 event is FAILED\n→ /,
    );
    expect(jsonOf(await genesis('shards', 'list', '--json'))).toMatchObject({
      topic_ahead: false,
      relays: [{ member, alive: true, shards: [0, 1] }],
    });
  });

  it('pauses and resumes one, several and all, and says when there is no such shard', async () => {
    expect((await genesis('shards', 'pause', '1', '2', '--reason', 'broker 3 is replaced')).out).toBe('paused 1, 2');
    expect((await genesis('shards')).out).toMatch(/\n +1 {2}free, paused /);
    expect((await genesis('shards', 'pause', '2')).out).toBe('paused none\n2: so already');
    expect(jsonOf(await genesis('shards', 'resume', '--all', '--json'))).toMatchObject({ changed: [1, 2] });
    await expect(genesis('shards', 'pause', '8')).rejects.toThrow('there is no shard 8: they are 0 to 7');
    expect((await genesis('outbox', 'actions', '--action', 'pause')).out).toMatch(
      /pause +shard 1 +broker 3 is replaced$/,
    );
  });

  it('says what the topic being ahead means', async () => {
    await rig.query('UPDATE genesis_settings SET topic_ahead = true');
    await rig.query('UPDATE relay_shards SET topic_ahead_at = 17 WHERE shard = 1');
    const { out } = await genesis('shards');
    expect(out).toContain('topic-ahead at 17');
    expect(out).toContain('commands are refused and nothing is published');
    expect((await genesis('outbox', 'why', stuck)).out).toContain('→ Import what the database lacks');
  });
});

describe('as programs', { timeout: 120_000 }, () => {
  async function run(url: string, ...args: readonly string[]) {
    const env = { ...process.env, DATABASE_URL: url, KAFKA_BROKERS: 'localhost:9092' };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit') as Promise<[number | null]>,
    ]);
    return { code, out, err };
  }

  it('end with 0, 1 or 2, and say what to do about a database that was never migrated', async () => {
    const empty = await createEmptyDatabase();
    onTestFinished(() => empty.drop());
    const [done, wrong, sudden, unmigrated] = await Promise.all([
      run(rig.url, 'shards', '--json'),
      run(rig.url, 'shards', 'pause'),
      run(rig.url, 'outbox', 'discard', '--id', '1', '--yes'),
      run(empty.url, 'outbox'),
    ]);
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(wrong).toMatchObject({
      code: 2,
      out: '',
      err: expect.stringContaining('name shards, or say --all') as unknown,
    });
    expect(sudden).toMatchObject({ code: 2, out: '' });
    expect(unmigrated).toMatchObject({ code: 1, out: '' });
    expect(unmigrated.err).toMatch(/^genesis: the database has no Genesis tables: run `.*genesis migrate` first\n$/u);
  });
});
