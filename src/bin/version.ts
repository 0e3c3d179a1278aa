import { readFileSync } from 'node:fs';

const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

/** Of this program, by its package.json. */
export const { version } = manifest as { readonly version: string };
