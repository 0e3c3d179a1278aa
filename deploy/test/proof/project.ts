import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool, until } from './run-tool.ts';

export const ROOT = join(import.meta.dirname, '../../..');

/** Where the Prometheus of the proof listens, beside one that may run on its own port. */
export const PROMETHEUS_PORT = 28_190;

/** What of package.json the image is held to. */
export interface Manifest {
  readonly version: string;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
}

export interface Container {
  readonly id: string;
  readonly name: string;
  /** Host port of its port 8080; null if none is published. */
  readonly port: number | null;
}

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly NetworkSettings: {
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>;
  };
}

/** deploy/compose.yaml under a name of its own. */
export class ComposeProject {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #image: string;

  private constructor(name: string, command: readonly string[], image: string) {
    this.name = name;
    this.#command = command;
    this.#image = image;
  }

  /**
   * @param command As of GENESIS_COMPOSE: a command line, its words separated by spaces. Empty: `docker compose`, else docker-compose.
   */
  static async open(name: string, command: string, image: string): Promise<ComposeProject> {
    const plugin = await runTool('docker', ['compose', 'version']).then(
      () => true,
      () => false,
    );
    const found = plugin ? ['docker', 'compose'] : ['docker-compose'];
    return new ComposeProject(name, command === '' ? found : command.split(' '), image);
  }

  /** What `compose version` says. */
  version(): Promise<string> {
    return this.#run(['version', '--short']);
  }

  /** Starts what is missing, scaled as told, and returns when it is started. */
  async up(scale: Readonly<Record<string, number>>): Promise<void> {
    const scales = Object.entries(scale).flatMap(([service, count]) => ['--scale', `${service}=${count}`]);
    await this.#run(['up', '--detach', '--no-build', ...scales]);
  }

  /** Runs the migration job once more. @returns What it says last. */
  async migrateAgain(): Promise<string> {
    const said = await this.#run(['run', '--rm', '-T', 'migrate']);
    return said.trim().split('\n').at(-1) ?? '';
  }

  /** Ends and removes everything, its data too. */
  async down(): Promise<void> {
    await this.#run(['down', '--volumes', '--remove-orphans']);
  }

  logs(service: string): Promise<string> {
    return this.#run(['logs', '--no-color', '--tail', '30', service]);
  }

  /** The running containers of a service. */
  async containers(service: string): Promise<readonly Container[]> {
    const ids = await runTool('docker', ['ps', '--quiet', '--no-trunc', ...this.#filters(service)]);
    const list = ids.split('\n').filter((id) => id !== '');
    if (list.length === 0) return [];
    const inspected = JSON.parse(await runTool('docker', ['inspect', ...list])) as readonly Inspected[];
    return inspected.map(({ Id, Name, NetworkSettings }) => {
      const port = NetworkSettings.Ports['8080/tcp']?.[0]?.HostPort;
      return { id: Id, name: Name.slice(1), port: port === undefined ? null : Number(port) };
    });
  }

  /** Waits until `count` containers of a service run and are healthy. */
  healthy(service: string, count: number): Promise<readonly Container[]> {
    return until(
      `${count} healthy ${service}`,
      async () => {
        const filters = [...this.#filters(service), '--filter', 'health=healthy'];
        const ids = await runTool('docker', ['ps', '--quiet', ...filters]);
        return ids.split('\n').filter((id) => id !== '').length === count ? this.containers(service) : null;
      },
      120_000,
    );
  }

  /** Every container, volume and network that is left. */
  async leftovers(): Promise<readonly string[]> {
    const filter = ['--quiet', '--filter', `label=com.docker.compose.project=${this.name}`];
    const lists = await Promise.all([
      runTool('docker', ['ps', '--all', ...filter]),
      runTool('docker', ['volume', 'ls', ...filter]),
      runTool('docker', ['network', 'ls', ...filter]),
    ]);
    return lists.flatMap((list) => list.split('\n')).filter((id) => id !== '');
  }

  #filters(service: string): readonly string[] {
    return ['project', 'service'].flatMap((what) => [
      '--filter',
      `label=com.docker.compose.${what}=${what === 'project' ? this.name : service}`,
    ]);
  }

  #run(args: readonly string[]): Promise<string> {
    const [program = 'docker-compose', ...words] = this.#command;
    const files = ['--env-file', join(ROOT, 'deploy/example.env'), '--file', join(ROOT, 'deploy/compose.yaml')];
    const env = {
      GENESIS_IMAGE: this.#image,
      API_PORTS: '28080-28089',
      PROMETHEUS_PORT: String(PROMETHEUS_PORT),
      COMPOSE_PROFILES: 'metrics',
      // The one user of the proof sends as fast as it can.
      RATE_LIMIT_PER_USER: '0',
    };
    return runTool(program, [...words, '--project-name', this.name, ...files, ...args], { limit: 300_000, env });
  }
}
