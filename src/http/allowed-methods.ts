import type { FastifyInstance } from 'fastify';
import { GenesisError } from '../errors.ts';
import { pathOf } from './paths.ts';

/** Says why no route took a request: 405 when its path takes other methods (RFC 9110, 15.5.6), else 404. */
export type NoRoute = (method: string, url: string) => GenesisError;

/** Watches the routes that are registered from now on, in whatever room, so that each path's methods are known. */
export function watchRoutes(app: FastifyInstance): NoRoute {
  const methodsOf = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const methods = methodsOf.get(url) ?? new Set();
    for (const name of [method].flat()) methods.add(name);
    methodsOf.set(url, methods);
  });

  return (method, url) => {
    const path = pathOf(url);
    const allowed = [...methodsOf].filter(([pattern]) => matches(pattern, path)).flatMap(([, methods]) => [...methods]);
    if (allowed.length === 0) return nothingHere();
    const allow = [...new Set(allowed)].sort().join(', ');
    return new GenesisError('METHOD_NOT_ALLOWED', `${method} does not work here; ${allow} would`, { allow });
  };
}

export function nothingHere(): GenesisError {
  return new GenesisError('NOT_FOUND', 'There is nothing at this address');
}

/** Whether a path is one that a route's pattern takes: `:name` is one part of it, `*` the rest. */
function matches(pattern: string, path: string): boolean {
  const parts = path.split('/');
  const wanted = pattern.split('/');
  if (wanted.at(-1) === '*') return wanted.slice(0, -1).every((part, index) => fits(part, parts[index]));
  return wanted.length === parts.length && wanted.every((part, index) => fits(part, parts[index]));
}

function fits(wanted: string, part: string | undefined): boolean {
  return wanted === part || (wanted.startsWith(':') && part !== undefined);
}
