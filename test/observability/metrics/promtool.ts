import { spawnSync } from 'node:child_process';

/** What `promtool check metrics` says of a page of metrics; null: there is no promtool. */
export function promtool(text: string): { readonly status: number | null; readonly output: string } | null {
  const { error, status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
    input: text,
    encoding: 'utf8',
  });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') return null;
  if (error !== undefined) throw error;
  return { status, output: `${stdout}${stderr}` };
}
