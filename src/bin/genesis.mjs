#!/usr/bin/env node
// Starts the program on the Node.js that this package brings along (node_modules/.bin/node), whichever runs this file.
// Plain JavaScript, because it must run on older versions too.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const OLDEST = 26;
const main = join(dirname(fileURLToPath(import.meta.url)), 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= OLDEST) {
  await import('./main.ts');
} else {
  const node = bundledNode();
  if (node === undefined) {
    console.error(
      `genesis needs Node.js ${OLDEST} or newer; this is ${process.version}, and no bundled one was found for ${process.platform}-${process.arch}.\n` +
        'Run `npm ci` in the project (Linux x64 and arm64 get it as a package), or install Node.js 26.',
    );
    process.exit(78);
  }
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child by itself; a signal sent to this process does not.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => undefined);
  child.on('exit', (code, signal) => {
    process.exitCode = signal === null ? (code ?? 1) : 128 + (constants.signals[signal] ?? 0);
  });
}

function bundledNode() {
  try {
    const require = createRequire(import.meta.url);
    const file = join(dirname(require.resolve(`node-${process.platform}-${process.arch}/package.json`)), 'bin', 'node');
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}
