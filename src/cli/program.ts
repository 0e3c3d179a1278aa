import { Command } from 'commander';
import { endpointsCommand } from './endpoints.ts';
import { migrateCommand } from './migrate.ts';
import { outboxCommand } from './outbox.ts';
import { rebuildCommand } from './rebuild.ts';
import { reconcileCommand } from './reconcile.ts';
import { recoverCommand } from './recover.ts';
import { republishCommand } from './republish.ts';
import { runCommands, type Actions } from './run.ts';
import { shardsCommand } from './shards.ts';
import { tokenCommand } from './token.ts';
import { verifyCommand } from './verify.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The command line: one file per sub-command. */
export function createProgram(actions: Actions, env: Environment, version: string): Command {
  const program = new Command('genesis')
    .description(
      'Genesis: commands in by HTTP, ordered and lossless domain events out by Kafka, through a transactional outbox.',
    )
    .version(version)
    .showHelpAfterError('(run with --help to see what there is)')
    .addHelpText('after', HELP);
  const commands = [
    ...runCommands(actions),
    migrateCommand(env),
    tokenCommand(env),
    endpointsCommand(env),
    outboxCommand(env),
    shardsCommand(env),
    verifyCommand(env),
    rebuildCommand(env),
    reconcileCommand(env),
    recoverCommand(env),
    republishCommand(env),
  ];
  // Wrong usage is an error of its own, with an exit code of its own: a sub-command does not take that over by itself.
  for (const command of commands) program.addCommand(command.exitOverride());
  return program.exitOverride();
}

const HELP = `
First steps:
  $ npx genesis start                     API and relay, with their own PostgreSQL and Kafka in .genesis/
  $ npx genesis token --user ada          a token for development, to send as "Authorization: Bearer …"
  $ npx genesis endpoints --json          where API, PostgreSQL and Kafka can be reached

When events do not come out:
  $ npx genesis outbox                    what is not published; \`outbox why SESSION\` says why, and what to do
  $ npx genesis shards                    who drains each shard, and its last error

In production, with DATABASE_URL, KAFKA_BROKERS and JWT_JWKS_URL set:
  $ npx genesis migrate && npx genesis api    as many of it as you like
  $ npx genesis relay                     one drains the outbox, further ones stand by

Configuration is by environment variables: docs/configuration.md has them all.
Exit codes: 0 done · 1 failed, the message says why · 2 wrong usage or configuration`;
