export const AREAS = ['configuration', 'database', 'broker', 'topic', 'relays'] as const;
export type Area = (typeof AREAS)[number];

/** `fail`: something is to be mended; `warn`: look at it; `skip`: it could not be looked at. */
export type Level = 'ok' | 'warn' | 'fail' | 'skip';

/** One thing that was looked at. */
export interface Check {
  readonly area: Area;
  /** A few words; the same each time, for programs. */
  readonly name: string;
  readonly level: Level;
  /** What was found. Never a secret. */
  readonly detail: string;
  /** What to do; null: nothing. */
  readonly todo: string | null;
}

/** What one area says; each call makes a check of it. */
export interface Says {
  ok(name: string, detail: string): Check;
  warn(name: string, detail: string, todo: string): Check;
  fail(name: string, detail: string, todo: string): Check;
  skip(name: string, detail: string, todo?: string): Check;
}

export function saysOf(area: Area): Says {
  const check = (level: Level, name: string, detail: string, todo: string | null): Check => {
    return { area, name, level, detail, todo };
  };
  return {
    ok: (name, detail) => check('ok', name, detail, null),
    warn: (name, detail, todo) => check('warn', name, detail, todo),
    fail: (name, detail, todo) => check('fail', name, detail, todo),
    skip: (name, detail, todo) => check('skip', name, detail, todo ?? null),
  };
}
