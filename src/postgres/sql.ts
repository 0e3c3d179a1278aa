import { readFileSync } from 'node:fs';

/**
 * The statement in `./sql/<name>.sql`. To be called while a module loads, so that a missing file shows at the start and
 * nothing is read later.
 */
export function sql(name: string): string {
  return readFileSync(new URL(`./sql/${name}.sql`, import.meta.url), 'utf8');
}
