import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project as it stands here. */
export const HERE = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/u, '');

/** Which version an upgrade starts from: the commit in `from.json`. */
export function earlierCommit(): string {
  const text = readFileSync(new URL('from.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly commit: string }).commit;
}

/**
 * Why the earlier version cannot be had here; null: it can. A clone without history does not hold it, nor does a folder that was
 * copied without `.git`.
 */
export function whyNotHere(commit: string): string | null {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: HERE, stdio: 'pipe' });
    return null;
  } catch {
    return `commit ${commit} of test/upgrade/from.json is not in this clone (shallow?): fetch the whole history (git fetch --unshallow), or nothing is known of upgrades`;
  }
}

/**
 * Unpacks the program of that commit into the folder, with the packages it was written for: those that are installed here, if its lock
 * file is the same, else its own (`npm ci`, some minutes without a cache).
 */
export function unpackVersion(commit: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const archive = execFileSync('git', ['archive', commit], { cwd: HERE, maxBuffer: 512 * 1024 * 1024 });
  execFileSync('tar', ['-x', '-C', folder], { input: archive });
  const lock = (root: string): string => readFileSync(join(root, 'package-lock.json'), 'utf8');
  if (lock(folder) === lock(HERE)) {
    const packages = join(HERE, 'node_modules');
    if (!existsSync(packages)) throw new Error('run npm ci first');
    symlinkSync(packages, join(folder, 'node_modules'));
  } else {
    execFileSync('npm', ['ci', '--omit=dev', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'pipe' });
  }
}
