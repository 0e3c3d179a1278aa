import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Type, { type TSchema } from 'typebox';
import { describe, expect, it, onTestFinished, test } from 'vitest';
import {
  filesOf,
  fingerprint,
  judgeFiles,
  judgeManifest,
  manifestOf,
  manifestsOfHistory,
  readManifest,
  type Manifest,
} from '../../checks/event-schemas.ts';

const title = Type.String({ minLength: 1, maxLength: 200 });
const CREATED = Type.Object({ title, note: Type.Optional(Type.String()) }, { additionalProperties: false });

/** A manifest with one entry per argument: key, level, schema. */
function manifest(...entries: readonly (readonly [key: string, level: number, schema: TSchema])[]): Manifest {
  return manifestOf(new Map(entries.map(([key, level, schema]) => [key, { level, schema }])));
}

const published = manifest(['Created/1', 1, CREATED]);

describe('a published schema', () => {
  it('may be described in other words', () => {
    const described = Type.Object(
      { title: Type.String({ minLength: 1, maxLength: 200, description: 'Its name.' }), note: CREATED.properties.note },
      { additionalProperties: false, title: 'Created', description: 'It began.', examples: [{ title: 'A' }] },
    );
    expect(judgeManifest(manifest(['Created/1', 1, described]), [published])).toEqual([]);
  });

  it('may be written down in another order of keywords', () => {
    const reordered = { ...CREATED, type: undefined, additionalProperties: false, properties: CREATED.properties };
    expect(fingerprint({ ...reordered, type: 'object' })).toBe(fingerprint(CREATED));
  });

  const { note } = CREATED.properties;
  const closed = { additionalProperties: false };
  it.each<[string, TSchema]>([
    ['gain a required member', Type.Object({ title, note, more: title }, closed)],
    [
      'gain an optional member: a reader that validates by it would refuse the event',
      Type.Object({ title, note, more: Type.Optional(title) }, closed),
    ],
    ['lose a member', Type.Object({ title }, closed)],
    ['require what was optional', Type.Object({ title, note: Type.String() }, closed)],
    ['make optional what was required', Type.Object({ title: Type.Optional(title), note }, closed)],
    ['allow more', Type.Object({ title: Type.String({ minLength: 1, maxLength: 201 }), note }, closed)],
    ['allow less', Type.Object({ title: Type.String({ minLength: 2, maxLength: 200 }), note }, closed)],
    ['be of another type', Type.Object({ title: Type.Integer(), note }, closed)],
    ['be opened', Type.Object({ title, note })],
  ])('may not %s', (_, schema) => {
    expect(judgeManifest(manifest(['Created/1', 1, schema]), [published])).toEqual([
      'Created/1 was published and demands something else now: leave it as it was, and add Created/2',
    ]);
  });

  it('has members whose names are no keywords', () => {
    const named = Type.Object({ title, description: Type.String() });
    const other = Type.Object({ title, description: Type.Integer() });
    expect(fingerprint(named)).not.toBe(fingerprint(other));
    expect(fingerprint(named)).not.toBe(fingerprint(Type.Object({ title })));
  });

  it('has values that are no keywords either', () => {
    expect(fingerprint(Type.Enum(['a', 'b']))).not.toBe(fingerprint(Type.Enum(['a'])));
    const constant = (value: object) => fingerprint({ const: value });
    expect(constant({ title: 1 })).not.toBe(constant({ title: 2 }));
  });

  it('may not go', () => {
    expect(judgeManifest({}, [published])).toEqual([
      'Created/1 was published and is gone: a stored event may need it for ever',
    ]);
  });

  it('may not take another level', () => {
    const moved = manifest(['Created/1', 2, CREATED], ['Left/1', 1, CREATED]);
    expect(judgeManifest(moved, [published])).toContain('Created/1 was published with level 1');
  });

  it('binds by every manifest that was ever published, not only by the last', () => {
    const second = manifest(['Created/1', 1, CREATED], ['Left/1', 2, CREATED]);
    expect(judgeManifest(published, [published, second])).toEqual([
      'Left/1 was published and is gone: a stored event may need it for ever',
    ]);
  });
});

describe('a new schema', () => {
  it('is welcome as the next version, with a level of its own', () => {
    expect(judgeManifest(manifest(['Created/1', 1, CREATED], ['Created/2', 2, title]), [published])).toEqual([]);
  });

  it('may not slip in at a level that older programs claim to know', () => {
    expect(judgeManifest(manifest(['Created/1', 1, CREATED], ['Left/1', 1, title]), [published])).toEqual([
      "Left/1 is new: give it level 2, programs that don't know it are at 1",
    ]);
  });

  it('may not leave a version or a level out', () => {
    expect(judgeManifest(manifest(['Created/1', 1, CREATED], ['Created/3', 2, title]), [])).toEqual([
      'Created: version 2 is missing',
    ]);
    expect(judgeManifest(manifest(['Created/1', 1, CREATED], ['Created/2', 3, title]), [])).toEqual([
      'levels must count up from 1: 1, 3',
    ]);
  });

  it('may not share the level of the version before', () => {
    expect(judgeManifest(manifest(['Created/1', 1, CREATED], ['Created/2', 1, title]), [])).toEqual([
      'Created/2 needs a level above 1',
    ]);
  });
});

/** A folder that goes with the test. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'event-schemas-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

function put(root: string, path: string, content: unknown): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), JSON.stringify(content));
}

describe('the committed files', () => {
  const expected = filesOf(new Map([['Created/1', { level: 1, schema: CREATED }]]));

  function written(): string {
    const root = folder();
    for (const [path, content] of expected) put(root, path, content);
    return root;
  }

  it('are fine when they say what the code says, in whatever format', () => {
    expect(judgeFiles(written(), expected)).toEqual([]);
    expect([...expected.keys()]).toEqual(['schemas/events/Created/1.json', 'schemas/events/published.json']);
  });

  it('are not when one says something else, is missing, or belongs to nothing', () => {
    const root = written();
    put(root, 'schemas/events/Created/1.json', { type: 'object' });
    rmSync(join(root, 'schemas/events/published.json'));
    put(root, 'schemas/events/Left/1.json', {});
    expect(judgeFiles(root, expected)).toEqual([
      'schemas/events/Left/1.json belongs to no event of the code',
      'schemas/events/Created/1.json is not what the code says',
      'schemas/events/published.json is missing',
    ]);
  });
});

describe('what was published before', () => {
  const second = manifest(['Created/1', 1, CREATED], ['Left/1', 2, CREATED]);

  function repository(): {
    root: string;
    git: (...args: readonly string[]) => void;
    commit: (content: Manifest) => void;
  } {
    const root = folder();
    const git = (...args: readonly string[]) => {
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@localhost', ...args], {
        cwd: root,
        stdio: 'ignore',
      });
    };
    git('init', '--initial-branch=main');
    const commit = (content: Manifest) => {
      put(root, 'schemas/events/published.json', content);
      git('add', '.');
      git('commit', '--no-gpg-sign', '--message=m');
    };
    return { root, git, commit };
  }

  it('is every manifest of the main line', () => {
    const { root, commit } = repository();
    commit(published);
    commit(second);
    expect(manifestsOfHistory(root)).toEqual([second, published]);
  });

  it('is not what a branch has only tried', () => {
    const { root, git, commit } = repository();
    commit(published);
    git('switch', '--create', 'try');
    commit(second);
    expect(manifestsOfHistory(root)).toEqual([published]);
  });

  it('is, without git, the manifest on the disk', () => {
    const root = folder();
    expect(manifestsOfHistory(root)).toEqual([]);
    expect(readManifest(root)).toEqual([]);
    put(root, 'schemas/events/published.json', published);
    expect(readManifest(root)).toEqual([published]);
  });
});

test('the schemas of this project are as they were published', () => {
  const root = join(import.meta.dirname, '../..');
  const output = execFileSync(process.execPath, [join(root, 'checks/event-schemas.ts')], { encoding: 'utf8' });
  expect(output).toMatch(/^event schemas: \d+ files, \d+ published manifests in git, 0 problems\n$/);
});
