import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { folderOfTest } from './folder.ts';

const TOOL = join(import.meta.dirname, '../../local/kafka/tool.ts');
/** Greater than any process id. */
const NOBODY = 2 ** 30;

/** Runs it where nothing is cached. */
async function kafka(dataDir: string, ...args: readonly string[]) {
  const cache = await folderOfTest();
  const env = { ...process.env, LOCAL_DATA_DIR: dataDir, XDG_CACHE_HOME: cache };
  const { status, stdout, stderr } = spawnSync(process.execPath, [TOOL, ...args], { env, encoding: 'utf8' });
  return { status, stdout, stderr, cached: await readdir(cache) };
}

describe('npm run kafka', () => {
  it.each([[[]], [['topic']], [['--help']]])('with %j is wrong usage, and says which tools there are', async (args) => {
    const { status, stderr } = await kafka(await folderOfTest(), ...args);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^usage: npm run kafka -- <tool> .* console-consumer, .*topics\n$/u);
  });

  it('says that no instance runs, and fetches nothing for it', async () => {
    const dataDir = await folderOfTest();
    const none = { status: 1, cached: [], stderr: expect.stringMatching(/^no instance runs with the data folder/u) };
    expect(await kafka(dataDir, 'topics', '--list')).toMatchObject(none);
    await writeFile(join(dataDir, 'endpoints.json'), JSON.stringify({ pid: NOBODY, kafka: ['127.0.0.1:1'] }));
    expect(await kafka(dataDir, 'topics', '--list')).toMatchObject(none);
  });
});
