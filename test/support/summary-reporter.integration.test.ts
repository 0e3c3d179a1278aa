import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const PASSES = `test('a', () => {});`;
const FAILS = `test('b', () => { throw new Error('on purpose'); });`;

/** Runs vitest, with our reporter alone, on one test file of the given content; `globalSetup` runs before it. */
function runVitest(
  content: string,
  globalSetup = '',
): { readonly lastLine: string | undefined; readonly succeeded: boolean } {
  const folder = mkdtempSync(join(tmpdir(), 'summary-reporter-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'it.test.js'), content);
  writeFileSync(join(folder, 'setup.js'), `export default () => { ${globalSetup} };`);
  writeFileSync(join(folder, 'vitest.config.js'), `export default { test: { globalSetup: './setup.js' } };`);
  const reporter = join(root, 'test/support/summary-reporter.ts');
  const args = ['run', '--globals', '--root', folder, '--reporter', reporter];
  const { stdout, status } = spawnSync('node', [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
    encoding: 'utf8',
  });
  return { lastLine: stdout.trimEnd().split('\n').at(-1), succeeded: status === 0 };
}

test('a run in which everything passes says so', () => {
  expect(runVitest(PASSES)).toEqual({ lastLine: '1 passed, 0 failed', succeeded: true });
});

test('failed and skipped tests are counted', () => {
  const content = `${PASSES} ${FAILS} test.skip('c', () => {});`;
  expect(runVitest(content)).toEqual({ lastLine: '1 passed, 1 failed, 1 skipped', succeeded: false });
});

test('a file that cannot be loaded is a failure', () => {
  expect(runVitest(`import './is-not-there.js';`)).toEqual({ lastLine: '0 passed, 1 failed', succeeded: false });
});

test('an error in a hook is a failure', () => {
  const content = `describe('d', () => { afterAll(() => { throw new Error('on purpose'); }); ${PASSES} });`;
  expect(runVitest(content)).toEqual({ lastLine: '1 passed, 1 failed', succeeded: false });
});

test('an error that nobody caught is a failure, though every test passed', () => {
  const content = `test('a', async () => { setTimeout(() => { throw new Error('on purpose'); }); await new Promise((done) => { setTimeout(done, 50); }); });`;
  expect(runVitest(content)).toEqual({ lastLine: '1 passed, 1 failed', succeeded: false });
});

test('a run that fails though no test did never says that nothing failed', () => {
  expect(runVitest('')).toEqual({ lastLine: '0 passed, 1 failed', succeeded: false });
  const noInfrastructure = `throw new Error('on purpose');`;
  expect(runVitest(PASSES, noInfrastructure)).toEqual({ lastLine: '0 passed, 1 failed', succeeded: false });
});
