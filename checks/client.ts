import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'orval';

/** Where the generated client is, from the root of the project; what it calls by stands beside it. */
const CLIENT = 'client/genesis.ts';
const CALL = 'client/call.ts';

/** The client that the committed OpenAPI document below `root` makes. */
export async function generatedClient(root: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'genesis-client-'));
  try {
    cpSync(join(root, CALL), join(folder, 'call.ts'));
    await generate({
      input: { target: join(root, 'docs/openapi.json') },
      output: {
        target: join(folder, 'genesis.ts'),
        client: 'fetch',
        headers: true,
        urlEncodeParameters: true,
        tsconfig: join(root, 'tsconfig.json'),
        override: { mutator: { path: join(folder, 'call.ts'), name: 'call' } },
      },
    });
    return readFileSync(join(folder, 'genesis.ts'), 'utf8');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What is committed below `root`. */
export function committedClient(root: string): string {
  return readFileSync(join(root, CLIENT), 'utf8');
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const client = await generatedClient(root);
  if (process.argv.includes('--write')) writeFileSync(join(root, CLIENT), client);
  const same = committedClient(root) === client;
  console.log(same ? `${CLIENT} is what the document says` : `${CLIENT} is out of date: node checks/client.ts --write`);
  if (!same) process.exitCode = 1;
}
