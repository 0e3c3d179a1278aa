import { describe, expect, it } from 'vitest';
import { createApi } from './api-harness.ts';

const { fastify } = createApi();
const page = await fastify.inject('/docs');
/** What the page has the browser load. */
const loaded = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address);

describe('/docs', () => {
  it('is a page for anybody', () => {
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(loaded.length).toBeGreaterThan(5);
  });

  it.each(loaded)('loads %s from here', async (address) => {
    expect(address).toMatch(/^\/docs\//);
    expect((await fastify.inject(address)).statusCode).toBe(200);
  });

  it('forbids the browser to ask or tell anybody else', () => {
    const policy = String(page.headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
  });

  it('asks no validator', async () => {
    const settings = await fastify.inject('/docs/static/swagger-initializer.js');
    expect(settings.body).toMatch(/"validatorUrl":\s*null/);
  });

  it('tells a file that is not there as every other error', async () => {
    const answer = await fastify.inject('/docs/static/nothing.js');
    expect(answer.json()).toMatchObject({ status: 404, error_code: 'NOT_FOUND' });
  });
});
