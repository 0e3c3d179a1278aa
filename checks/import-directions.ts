import { globSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { parseSync } from 'oxc-parser';

/** What the modules of one room may import. */
interface Room {
  /** Other rooms (`genesis`, `errors.ts`), or one file of a room (`relay/ports.ts`). Its own files are always allowed. */
  readonly rooms: readonly string[];
  readonly packages: readonly string[];
  /** Node's own modules; allowed unless said otherwise. */
  readonly builtins?: false;
  /** Folders beside src that it may load, and only by `await import(…)`. */
  readonly loads?: readonly string[];
}

const SHARED = ['errors.ts', 'config.ts', 'service.ts', 'backoff.ts'] as const;

/** What a command line or the wiring may put together. */
const CALLED = [
  ...SHARED,
  'genesis',
  'commands',
  'events',
  'outbox',
  'relay',
  'postgres',
  'kafka',
  'http',
  'operations',
  'observability',
] as const;

/** Which way the rooms under src/ know each other. ARCHITECTURE.md says why; a module in no room of this table is a violation. */
export const ROOMS: Readonly<Record<string, Room>> = {
  'config.ts': { rooms: ['errors.ts', 'config-reader.ts', 'config-tracing.ts'], packages: [] },
  'config-tracing.ts': { rooms: ['config-reader.ts'], packages: [] },
  'config-reader.ts': { rooms: ['variables.ts'], packages: [] },
  'variables.ts': { rooms: [], packages: [] },
  'backoff.ts': { rooms: [], packages: [] },
  'errors.ts': { rooms: [], packages: [] },
  'service.ts': { rooms: [], packages: [] },

  genesis: { rooms: [], packages: ['typebox'], builtins: false },
  outbox: { rooms: ['genesis', 'errors.ts', 'service.ts'], packages: ['pino'] },
  events: { rooms: ['genesis', 'outbox/outbox-row.ts', ...SHARED], packages: [] },
  commands: { rooms: ['genesis', 'outbox', ...SHARED], packages: ['pino', 'uuid'] },
  relay: { rooms: ['genesis', 'outbox/outbox-row.ts', ...SHARED], packages: ['pino'] },

  operations: {
    rooms: ['genesis', 'outbox', 'events', 'relay/ports.ts', ...SHARED],
    packages: ['pino'],
  },

  postgres: {
    rooms: [
      'genesis',
      'outbox',
      'commands/ports.ts',
      'events/ports.ts',
      'operations/ports.ts',
      'relay/ports.ts',
      ...SHARED,
    ],
    packages: ['pg', 'pino', 'uuid'],
  },
  kafka: {
    rooms: ['genesis', 'outbox', 'relay/ports.ts', ...SHARED],
    packages: ['@platformatic/kafka', 'pino'],
  },

  observability: {
    rooms: [
      'commands/ports.ts',
      'operations/reconcile-figures.ts',
      'outbox/operations/figures.ts',
      'outbox/operations/ports.ts',
      'relay/ports.ts',
      'relay/relay-status.ts',
      ...SHARED,
    ],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
      'pino',
      'pino-pretty',
      'prom-client',
    ],
  },
  http: {
    rooms: ['genesis', 'commands', 'events', 'outbox', 'observability', ...SHARED],
    packages: ['@fastify/swagger', '@fastify/swagger-ui', 'fastify', 'jose', 'pino', 'typebox', 'uuid'],
  },
  cli: { rooms: [...CALLED, 'variables.ts'], packages: ['commander', 'pino', 'uuid'] },
  bin: { rooms: [...CALLED, 'cli'], packages: ['commander', 'pino', 'uuid'], loads: ['local'] },
};

/** One import that points the wrong way, or that cannot be judged. */
export interface Violation {
  /** Path of the module, from the root of the project. */
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly reason: string;
}

interface Import {
  readonly specifier: string | null;
  readonly dynamic: boolean;
  readonly offset: number;
}

/** Where an import leads. */
type Target =
  | { readonly kind: 'room'; readonly room: string; readonly path: string }
  | { readonly kind: 'outside'; readonly folder: string }
  | { readonly kind: 'builtin' }
  | { readonly kind: 'package'; readonly name: string };

/** All static, re-exporting and dynamic imports of a module; `specifier` is null where it is not a plain string. */
function importsOf(path: string, source: string): readonly Import[] {
  const { module, errors } = parseSync(path, source);
  const [error] = errors;
  if (error !== undefined) throw new Error(`${path}: ${error.message}`);
  const imports: Import[] = module.staticImports.map(({ moduleRequest, start }) => {
    return { specifier: moduleRequest.value, dynamic: false, offset: start };
  });
  for (const { start, entries } of module.staticExports) {
    const specifier = entries.find((entry) => entry.moduleRequest !== null)?.moduleRequest?.value;
    if (specifier !== undefined) imports.push({ specifier, dynamic: false, offset: start });
  }
  for (const { start, moduleRequest } of module.dynamicImports) {
    const literal = /^(['"`])([^'"`$]*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end));
    imports.push({ specifier: literal?.[2] ?? null, dynamic: true, offset: start });
  }
  return imports;
}

function targetOf(fromPath: string, specifier: string): Target {
  if (!specifier.startsWith('.')) {
    if (isBuiltin(specifier)) return { kind: 'builtin' };
    const [scope = specifier, name] = specifier.split('/');
    return { kind: 'package', name: scope.startsWith('@') ? `${scope}/${name}` : scope };
  }
  const path = posix.join(posix.dirname(fromPath), specifier);
  const [folder = path, room = ''] = path.split('/');
  return folder === 'src' ? { kind: 'room', room, path: path.slice('src/'.length) } : { kind: 'outside', folder };
}

/** Why `roomName` may not import `target`; null when it may. */
function objection(roomName: string, room: Room, target: Target, dynamic: boolean): string | null {
  switch (target.kind) {
    case 'builtin':
      return room.builtins === false ? `${roomName} is pure: it imports nothing of Node's` : null;
    case 'package':
      return room.packages.includes(target.name) ? null : `${roomName} does not know the package ${target.name}`;
    case 'outside':
      return objectionToFolder(room, target.folder, dynamic);
    case 'room': {
      const known = [roomName, ...room.rooms];
      return known.includes(target.room) || known.includes(target.path)
        ? null
        : `${roomName} does not know ${target.path}`;
    }
  }
}

function objectionToFolder(room: Room, folder: string, dynamic: boolean): string | null {
  if (room.loads?.includes(folder) !== true) return `src does not know ${folder}/`;
  return dynamic ? null : `${folder}/ is loaded by await import(…) only`;
}

function judge(path: string, source: string): readonly Violation[] {
  const roomName = path.split('/')[1] ?? '';
  const room = ROOMS[roomName];
  if (room === undefined) return [{ path, line: 1, reason: `no room ${roomName} in checks/import-directions.ts` }];
  return importsOf(path, source).flatMap(({ specifier, dynamic, offset }) => {
    const reason =
      specifier === null
        ? 'import(…) of something else than a plain string cannot be judged'
        : objection(roomName, room, targetOf(path, specifier), dynamic);
    return reason === null ? [] : [{ path, line: source.slice(0, offset).split('\n').length, reason }];
  });
}

/**
 * Everything in `sources` (path from the root of the project → text) that imports what its room may not know.
 * @throws Error when there is no module at all (a check that looks at nothing must not pass), or one cannot be parsed.
 */
export function findViolations(sources: ReadonlyMap<string, string>): readonly Violation[] {
  if (sources.size === 0) throw new Error('no modules to check');
  return [...sources].flatMap(([path, source]) => judge(path, source));
}

/** Every module under src/, by its path from `root`. */
export function readSources(root: string): ReadonlyMap<string, string> {
  const paths = globSync('src/**/*.{ts,mts,cts,js,mjs,cjs,tsx,jsx}', { cwd: root });
  return new Map(paths.sort().map((path) => [path, readFileSync(posix.join(root, path), 'utf8')]));
}

if (import.meta.main) {
  const sources = readSources(posix.join(import.meta.dirname, '..'));
  const violations = findViolations(sources);
  for (const { path, line, reason } of violations) console.error(`${path}:${line}: ${reason}`);
  console.log(`import directions: ${sources.size} modules, ${violations.length} violations`);
  if (violations.length > 0) process.exitCode = 1;
}
