import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface DevelopmentKey {
  readonly key: string;
  /** Made just now: no program that runs knows it yet. */
  readonly isNew: boolean;
}

/**
 * The secret that signs tokens in development: made once, kept in the data folder, readable by its owner only.
 * Two programs that make it at the same time end up with the same one.
 */
export async function developmentKey(dataDir: string): Promise<DevelopmentKey> {
  await mkdir(dataDir, { recursive: true });
  const file = join(dataDir, 'development.key');
  const draft = `${file}.${process.pid}`;
  try {
    return { key: await readKey(file), isNew: false };
  } catch {
    await writeFile(draft, randomBytes(48).toString('base64url'), { mode: 0o600 });
    // Unlike rename, link fails if somebody was faster: then theirs counts.
    await link(draft, file).catch(() => undefined);
    return { key: await readKey(file), isNew: true };
  } finally {
    await rm(draft, { force: true });
  }
}

async function readKey(file: string): Promise<string> {
  const key = await readFile(file, 'utf8');
  if (key.length < 32) throw new Error(`${file} is damaged: remove it, and a new key is made at the next start`);
  return key;
}
