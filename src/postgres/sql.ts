import { readFileSync } from 'node:fs';
import type { Statement } from './pipeline.ts';

/**
 * The statement in `./sql/<name>.sql`. To be called while a module loads, so that a missing file shows at the start and
 * nothing is read later.
 */
export function sql(name: string): string {
  return readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');
}

/** The same, to be prepared under that name. */
export function statement(name: string): Statement {
  return { name, text: sql(name) };
}
