import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import { createApp } from '../src/http/app.ts';
import { OPENAPI } from '../src/http/openapi/document.ts';
import type { HttpDependencies } from '../src/http/ports.ts';

/** Where the document is committed, from the root of the project. */
const FILE = 'docs/openapi.json';

/** The document as the API itself gives it out, in the form of a file. */
export async function openApiText(): Promise<string> {
  const { fastify } = createApp(describingOnly());
  try {
    const answer = await fastify.inject(OPENAPI);
    if (answer.statusCode !== 200) throw new Error(`${OPENAPI} answered ${answer.statusCode}: ${answer.body}`);
    return `${JSON.stringify(answer.json(), null, 2)}\n`;
  } finally {
    await fastify.close();
  }
}

/** What is committed below `root`. */
export function committedOpenApi(root: string): string {
  return readFileSync(join(root, FILE), 'utf8');
}

/** An API that can be asked for nothing else. */
function describingOnly(): HttpDependencies {
  const refuse = (): never => {
    throw new Error('this API only describes itself');
  };
  return {
    config: { host: '127.0.0.1', port: 0, requestTimeout: 1_000, rateLimitPerUser: 0 },
    tokens: { verify: refuse },
    commands: { execute: refuse },
    sessions: { read: refuse },
    queries: { listSessions: refuse, listCommands: refuse, readCommand: refuse, readHistory: refuse },
    operations: {
      backlogs: refuse,
      list: refuse,
      publicationOf: refuse,
      preview: refuse,
      act: refuse,
      setPaused: refuse,
      actions: refuse,
    },
    feed: { follow: refuse },
    readiness: refuse,
    logger: pino({ level: 'silent' }),
    newId: refuse,
  };
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const text = await openApiText();
  if (process.argv.includes('--write')) writeFileSync(join(root, FILE), text);
  const same = committedOpenApi(root) === text;
  console.log(
    same ? `${FILE} is what the API says` : `${FILE} is not what the API says: node checks/openapi.ts --write`,
  );
  if (!same) process.exitCode = 1;
}
