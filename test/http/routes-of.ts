import { createApp } from '../../src/http/app.ts';
import type { HttpDependencies } from '../../src/http/ports.ts';

/** Every route that the API has, e.g. `GET /livez`; HEAD, which Fastify adds to each GET, included. */
export async function routesOf(dependencies: HttpDependencies): Promise<string[]> {
  const { fastify } = createApp(dependencies);
  await fastify.ready();
  const routes = routesIn(fastify.printRoutes({ commonPrefix: false }));
  await fastify.close();
  return routes;
}

/** Reads Fastify's drawing of its tree: four characters for each level. */
function routesIn(tree: string): string[] {
  const above: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const [, indent = '', part = '', methods = ''] = /^(.*── )(\S+)(?: \((.*)\))?$/.exec(line) ?? [];
    const level = indent.length / 4;
    above[level] = `${above[level - 1] ?? ''}${part}`;
    const named = methods.split(', ').filter((method) => method !== '');
    return named.map((method) => `${method} ${above[level]}`);
  });
}
