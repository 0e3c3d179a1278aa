import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { TSchema } from 'typebox';
import { ENVELOPE_SCHEMA, EVENT_SCHEMAS } from '../src/genesis/event-schemas.ts';

/** Where the schemas are committed, from the root of the project. */
const FOLDER = 'schemas/events';
const MANIFEST = `${FOLDER}/published.json`;
const ENVELOPE = 'envelope';

/** What is kept of a published schema, to recognise a change by. */
export interface PublishedSchema {
  /** See EVENT_SCHEMAS; 1 for the envelope. */
  readonly level: number;
  /** SHA-256, in hex, of what the schema demands: all of it but the words. */
  readonly sha256: string;
}

/** By `<event_type>/<event_version>`, and `envelope`. */
export type Manifest = Readonly<Record<string, PublishedSchema>>;

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type Levelled = { readonly level: number; readonly schema: TSchema };

/** Keywords that demand nothing: the only ones of a published schema that may change. */
const WORDS = new Set(['$comment', '$id', '$schema', 'deprecated', 'description', 'examples', 'title']);
/** Keywords whose members are named by the author, not by JSON Schema: a property may well be called `title`. */
const NAMED = new Set(['$defs', 'dependentSchemas', 'patternProperties', 'properties']);
/** Keywords that hold plain data. */
const DATA = new Set(['const', 'default', 'enum']);

/** A schema without its words, its keywords in one order: what two schemas that demand the same have in common. */
function demands(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map(demands);
  if (typeof schema !== 'object' || schema === null) return schema;
  const kept = Object.entries(schema).filter(([keyword]) => !WORDS.has(keyword));
  return Object.fromEntries(
    kept
      .map(([keyword, value]) => [keyword, demandsOf(keyword, value)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function demandsOf(keyword: string, value: Json): Json {
  if (DATA.has(keyword)) return value;
  if (!NAMED.has(keyword) || typeof value !== 'object' || value === null) return demands(value);
  const members = Object.entries(value).map(([name, schema]) => [name, demands(schema)] as const);
  return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The fingerprint of what a schema demands, in hex: words don't count, and neither does the order of keywords. */
export function fingerprint(schema: TSchema): string {
  const plain = JSON.parse(JSON.stringify(schema)) as Json;
  return createHash('sha256')
    .update(JSON.stringify(demands(plain)))
    .digest('hex');
}

/** All schemas of the code, by their key in the manifest. */
function schemasOfCode(): ReadonlyMap<string, Levelled> {
  const events = Object.entries(EVENT_SCHEMAS).flatMap(([type, versions]) =>
    Object.entries<{ level: number; payload: TSchema }>(versions).map(([version, { level, payload }]) => {
      return [`${type}/${version}`, { level, schema: payload }] as const;
    }),
  );
  return new Map([...events, [ENVELOPE, { level: 1, schema: ENVELOPE_SCHEMA }]]);
}

/** The manifest of these schemas. */
export function manifestOf(schemas: ReadonlyMap<string, Levelled>): Manifest {
  const entries = [...schemas].map(
    ([key, { level, schema }]) => [key, { level, sha256: fingerprint(schema) }] as const,
  );
  return Object.fromEntries(entries);
}

/**
 * What is wrong with `now`, given what was published before: each manifest of `earlier` binds for ever.
 * A published schema is there, and demands what it demanded; a new one comes with a level of its own or a new level's.
 */
export function judgeManifest(now: Manifest, earlier: readonly Manifest[]): readonly string[] {
  return [...judgeOrder(now), ...judgeChanges(now, earlier), ...judgeNewLevels(now, earlier)];
}

function judgeChanges(now: Manifest, earlier: readonly Manifest[]): readonly string[] {
  const problems = earlier.flatMap((manifest) =>
    Object.entries(manifest).flatMap(([key, published]) => {
      const current = now[key];
      if (current === undefined) return [`${key} was published and is gone: a stored event may need it for ever`];
      if (current.sha256 !== published.sha256)
        return [`${key} was published and demands something else now: ${instead(key)}`];
      return current.level === published.level ? [] : [`${key} was published with level ${published.level}`];
    }),
  );
  return [...new Set(problems)];
}

function instead(key: string): string {
  const [type = key, version] = key.split('/');
  return version === undefined
    ? 'every record on the topic has this form'
    : `leave it as it was, and add ${type}/${Number(version) + 1}`;
}

/** A program that knows only the earlier levels must see by the level that it does not know the new schema. */
function judgeNewLevels(now: Manifest, earlier: readonly Manifest[]): readonly string[] {
  const known = new Map(earlier.flatMap((manifest) => Object.entries(manifest)));
  const highest = Math.max(0, ...[...known.values()].map(({ level }) => level));
  return Object.entries(now)
    .filter(([key, { level }]) => !known.has(key) && level <= highest)
    .map(([key]) => `${key} is new: give it level ${highest + 1}, programs that don't know it are at ${highest}`);
}

/** Versions of an event, and levels, count up from 1 without a gap; a later version never has a lower level. */
function judgeOrder(now: Manifest): readonly string[] {
  const levels = [...new Set(Object.values(now).map(({ level }) => level))].toSorted((a, b) => a - b);
  const gap = levels.some((level, index) => level !== index + 1)
    ? [`levels must count up from 1: ${levels.join(', ')}`]
    : [];
  const types = Map.groupBy(
    Object.entries(now).filter(([key]) => key !== ENVELOPE),
    ([key]) => key.slice(0, key.lastIndexOf('/')),
  );
  return [...gap, ...[...types].flatMap(([type, entries]) => judgeVersions(type, entries))];
}

function judgeVersions(type: string, entries: readonly (readonly [string, PublishedSchema])[]): readonly string[] {
  const versions = entries
    .map(([key, { level }]) => ({ version: Number(key.slice(key.lastIndexOf('/') + 1)), level }))
    .toSorted((a, b) => a.version - b.version);
  return versions.flatMap(({ version, level }, index) => {
    if (version !== index + 1) return [`${type}: version ${index + 1} is missing`];
    const before = versions[index - 1];
    return before !== undefined && before.level >= level
      ? [`${type}/${version} needs a level above ${before.level}`]
      : [];
  });
}

/** The files that should be there, by their path from the root. */
export function filesOf(schemas: ReadonlyMap<string, Levelled>): ReadonlyMap<string, object> {
  const files = [...schemas].map(([key, { schema }]) => {
    const head = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $id: `urn:genesis:event:${key}`,
      title: key,
    };
    return [`${FOLDER}/${key}.json`, JSON.parse(JSON.stringify({ ...head, ...schema })) as object] as const;
  });
  return new Map([...files, [MANIFEST, manifestOf(schemas)]]);
}

/** How the files below `root` differ from what the code says. The format of a file is nobody's business here. */
export function judgeFiles(root: string, expected: ReadonlyMap<string, object>): readonly string[] {
  const there = globSync(`${FOLDER}/**/*.json`, { cwd: root });
  const extra = there.filter((path) => !expected.has(path)).map((path) => `${path} belongs to no event of the code`);
  const others = [...expected].flatMap(([path, content]) => {
    if (!there.includes(path)) return [`${path} is missing`];
    return isDeepStrictEqual(readJson(root, path), content) ? [] : [`${path} is not what the code says`];
  });
  return [...extra, ...others];
}

function readJson(root: string, path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

/** The manifest on the disk of `root`; none before the first was written. */
export function readManifest(root: string): readonly Manifest[] {
  return globSync(MANIFEST, { cwd: root }).map((path) => readJson(root, path) as Manifest);
}

/**
 * Every manifest that was ever committed on the main line, as far as git tells: up to where this branch left it. Without git, or
 * in a clone without history, the manifest on the disk is all there is to compare with.
 */
export function manifestsOfHistory(root: string): readonly Manifest[] {
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const base = mainLine(git);
    const commits = git('log', '--first-parent', '--diff-filter=AM', '--format=%H', base, '--', MANIFEST);
    return commits.split('\n').flatMap((commit) => {
      return commit === '' ? [] : [JSON.parse(git('show', `${commit}:./${MANIFEST}`)) as Manifest];
    });
  } catch {
    return [];
  }
}

/** The commit of the main line that the work tree stands on. */
function mainLine(git: (...args: readonly string[]) => string): string {
  for (const main of ['origin/main', 'main']) {
    try {
      return git('merge-base', 'HEAD', main);
    } catch {
      // No such branch here.
    }
  }
  return 'HEAD';
}

function write(root: string, files: ReadonlyMap<string, object>): void {
  for (const [path, content] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${JSON.stringify(content, null, 2)}\n`);
  }
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const schemas = schemasOfCode();
  const files = filesOf(schemas);
  const history = manifestsOfHistory(root);
  const incompatible = judgeManifest(manifestOf(schemas), [...readManifest(root), ...history]);
  if (process.argv.includes('--write') && incompatible.length === 0) write(root, files);
  const problems = [...incompatible, ...judgeFiles(root, files)];
  for (const problem of problems) console.error(problem);
  console.log(
    `event schemas: ${files.size} files, ${history.length} published manifests in git, ${problems.length} problems`,
  );
  if (problems.length > 0) process.exitCode = 1;
}
