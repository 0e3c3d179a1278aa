import { Command } from 'commander';
import { runCommands, type Actions } from './run.ts';

type Environment = Readonly<Record<string, string | undefined>>;

type MakeCommand = (env: Environment) => Command;

/** Besides those that run services. What a command needs is loaded with it: a service does not carry the tools around. */
const COMMANDS: Readonly<Record<string, () => Promise<MakeCommand>>> = {
  migrate: async () => (await import('./migrate.ts')).migrateCommand,
  token: async () => (await import('./token.ts')).tokenCommand,
  endpoints: async () => (await import('./endpoints.ts')).endpointsCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  outbox: async () => (await import('./outbox.ts')).outboxCommand,
  shards: async () => (await import('./shards.ts')).shardsCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  rebuild: async () => (await import('./rebuild.ts')).rebuildCommand,
  reconcile: async () => (await import('./reconcile.ts')).reconcileCommand,
  recover: async () => (await import('./recover.ts')).recoverCommand,
  republish: async () => (await import('./republish.ts')).republishCommand,
};

/**
 * The command line: one file per sub-command.
 * @param wanted The sub-command that will be called, if it is known: the others are not loaded.
 */
export async function createProgram(
  actions: Actions,
  env: Environment,
  version: string,
  wanted?: string,
): Promise<Command> {
  const program = new Command('genesis')
    .description(
      'Genesis: commands in by HTTP, ordered and lossless domain events out by Kafka, through a transactional outbox.',
    )
    .version(version)
    .showHelpAfterError('(run with --help to see what there is)')
    .addHelpText('after', HELP);
  const services = runCommands(actions);
  const names = services.some((command) => command.name() === wanted) ? [] : namesFor(wanted);
  const tools = await Promise.all(names.map(async (name) => (await COMMANDS[name]?.())?.(env)));
  // Wrong usage is an error of its own, with an exit code of its own: a sub-command does not take that over by itself.
  for (const command of [...services, ...tools]) if (command !== undefined) program.addCommand(command.exitOverride());
  return program.exitOverride();
}

function namesFor(wanted: string | undefined): readonly string[] {
  return wanted !== undefined && Object.hasOwn(COMMANDS, wanted) ? [wanted] : Object.keys(COMMANDS);
}

const HELP = `
First steps:
  $ npx genesis start                     API and relay, with their own PostgreSQL and Kafka in .genesis/
  $ npx genesis token --user ada          a token for development, to send as "Authorization: Bearer …"
  $ npx genesis endpoints --json          where API, PostgreSQL and Kafka can be reached

Is everything as it must be?
  $ npx genesis doctor                    configuration, database, broker, topic, relays: what to mend

When events do not come out:
  $ npx genesis outbox                    what is not published; \`outbox why SESSION\` says why, and what to do
  $ npx genesis shards                    who drains each shard, and its last error

In production, with DATABASE_URL, KAFKA_BROKERS and JWT_JWKS_URL set:
  $ npx genesis migrate && npx genesis api    as many of it as you like
  $ npx genesis relay                     a relay; as many as you like share the work

Configuration is by environment variables: docs/configuration.md has them all.
Exit codes: 0 done · 1 failed, the message says why · 2 wrong usage or configuration`;
