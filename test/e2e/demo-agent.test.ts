import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { developmentKey } from '../../src/http/development-key.ts';
import { createDevelopmentToken } from '../../src/http/development-token.ts';

const ROOT = join(import.meta.dirname, '../..');
const SESSIONS = '/api/v1/genesis/sessions';
const PATIENCE = 60_000;

/** `npm start` in a folder of its own. */
function start(env: Readonly<Record<string, string>>) {
  const dataDir = mkdtempSync(join(tmpdir(), 'genesis-demo-'));
  const child = spawn(process.execPath, ['src/bin/main.ts', 'start'], {
    cwd: ROOT,
    env: { ...process.env, LOCAL_DATA_DIR: dataDir, PORT: '0', LOG_LEVEL: 'DEBUG', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    await ended;
  };
  onTestFinished(async () => {
    await stop('SIGTERM');
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
  });
  /** Waits until the output matches, `count` times; resolves with the last match's first group. */
  const said = (pattern: RegExp, count = 1): Promise<string> =>
    vi.waitFor(() => {
      const matches = [...output.matchAll(pattern)];
      if (matches.length < count) throw new Error(`not ${count} times ${pattern.source} in:\n${output.slice(-2_000)}`);
      return matches.at(-1)?.[1] ?? '';
    }, PATIENCE);
  return { dataDir, stop, said };
}

async function author(dataDir: string, api: string) {
  const { key: secret } = await developmentKey(dataDir);
  const token = await createDevelopmentToken({ secret, user: 'ada', roles: [], expiresIn: 3_600 });
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  return async (path: string, body?: object) => {
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(api + SESSIONS + path, init);
    return { status: response.status, body: (await response.json()) as Readonly<Record<string, unknown>> };
  };
}

const REQUEST = {
  command_type: 'RequestConceptGeneration',
  payload: { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏', '第一人称'] },
};

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

it(
  'npm start answers a request by itself, keeps its agent alive, and leaves none behind',
  { timeout: 180_000 },
  async () => {
    const demo = start({ AGENT_DELAY: '1' });
    const call = await author(demo.dataDir, await demo.said(/ready .*"api":"([^"]+)"/g));
    await demo.said(/agent: (reading)/g);

    const ask = async () => {
      const { body: session } = await call('', { title: '三体之外' });
      const path = `/${String(session['session_id'])}`;
      expect(await call(`${path}/commands`, REQUEST)).toMatchObject({ status: 202, body: { status: 'PROCESSING' } });
      expect(await call(`${path}/commands`, REQUEST)).toMatchObject({ status: 409 });
    };
    await ask();
    await demo.said(/published (Genesis\.Session\.Proposed)/g);

    const first = Number(await demo.said(/started the example agent .*"process":(\d+)/g));
    process.kill(first, 'SIGKILL');
    const second = Number(await demo.said(/started the example agent .*"process":(\d+)/g, 2));
    await ask();
    await demo.said(/published (Genesis\.Session\.Proposed)/g, 2);

    await demo.stop('SIGKILL');
    await vi.waitFor(() => expect(isAlive(second)).toBe(false), 10_000);
  },
);

it(
  'npm start has no agent when AGENT_DELAY says off, and stops with all that it started otherwise',
  { timeout: 180_000 },
  async () => {
    const without = start({ AGENT_DELAY: 'off' });
    await without.said(/INFO: (ready) /g);
    expect(await without.said(/(example agent)/g, 0)).toBe('');
    await without.stop('SIGTERM');

    const demo = start({ AGENT_DELAY: '3600' });
    await demo.said(/INFO: (ready) /g);
    const agent = Number(await demo.said(/started the example agent .*"process":(\d+)/g));
    await demo.stop('SIGTERM');
    expect(isAlive(agent)).toBe(false);
  },
);
