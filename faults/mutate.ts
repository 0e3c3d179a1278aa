import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A change of one place in one file of the program. */
export interface Edit {
  /** From the root of the project. */
  readonly file: string;
  /** Must match exactly once. */
  readonly find: string | RegExp;
  readonly replace: string;
}

/** A defect put in on purpose: a campaign that does not notice it is worthless. */
export interface Mutation {
  readonly name: string;
  /** What it breaks, in words. */
  readonly about: string;
  /** The scenario that must find it. */
  readonly scenario: string;
  /** One of these must be broken: whatever else goes wrong is no proof. */
  readonly rules: readonly string[];
  readonly delivery: 'at-least-once' | 'exactly-once';
  readonly edits: readonly Edit[];
}

/** What the program needs to run, and no more. */
const PARTS = ['src', 'local', 'migrations', 'schemas', 'package.json'];

/**
 * Copies the program into the folder and puts the mutation in.
 * @throws when an edit does not fit exactly once: the code has changed, and the mutation with it must
 */
export function mutate(code: string, { name, edits }: Pick<Mutation, 'name' | 'edits'>, folder: string): void {
  for (const part of PARTS) cpSync(join(code, part), join(folder, part), { recursive: true });
  symlinkSync(join(code, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, find, replace } of edits) {
    const path = join(folder, file);
    const before = readFileSync(path, 'utf8');
    const matches = before.split(find).length - 1;
    if (matches !== 1)
      throw new Error(`mutation ${name}: ${String(find)} is ${matches} times in ${file}, must be once`);
    writeFileSync(path, before.replace(find, replace));
  }
}
