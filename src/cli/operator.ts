import { userInfo } from 'node:os';
import { InvalidArgumentError, type Command } from 'commander';
import { v7 as uuidv7 } from 'uuid';
import { createOperations, type Operations } from '../outbox/operations/operations.ts';
import type { Deed } from '../outbox/operations/ports.ts';
import { errorCode } from '../postgres/errors.ts';
import { createOperationsStore } from '../postgres/outbox-admin.ts';
import { createRead } from '../postgres/read.ts';
import { readSettings } from '../postgres/settings.ts';
import { withDatabase } from './with-database.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Milliseconds for one statement, and for one step of an action. */
const READ_TIME = 30_000;
const STEP_TIME = 30_000;
const UNDEFINED_TABLE = '42P01';

/** What every command that changes something takes. */
export interface DeedOptions {
  readonly as?: string;
  readonly reason?: string;
}

/** Lends what operators do, on the database of the environment. @throws as withDatabase */
export async function withOperations<Result>(
  env: Environment,
  use: (operations: Operations) => Promise<Result>,
): Promise<Result> {
  return withDatabase(env, 'genesis-operator', async (pool) => {
    const read = createRead(pool, READ_TIME);
    // Says so if the database was never migrated.
    await readSettings(read);
    try {
      return await use(createOperations(createOperationsStore(read, pool, STEP_TIME)));
    } catch (error) {
      if (errorCode(error) !== UNDEFINED_TABLE) throw error;
      throw new Error('the database is older than this program: run `npx genesis migrate` first', { cause: error });
    }
  });
}

/**
 * What a command does when none of its sub-commands is named. A name that none of them has arrives here as an argument: said so,
 * rather than that there is one too many.
 */
export function defaultCommand(command: Command, group: string): Command {
  return command.allowExcessArguments().hook('preAction', () => {
    const [unknown] = command.args;
    if (unknown === undefined) return;
    command.error(`error: unknown command '${unknown}': \`npx genesis ${group} --help\` tells which there are`, {
      exitCode: 2,
    });
  });
}

export function addDeedOptions(command: Command): Command {
  return command
    .option('--reason <text>', 'why, for the audit trail: 1–1,000 characters', parseText(1_000))
    .option('--as <name>', 'who does it, for the audit trail; else the name of your account', parseText(255));
}

/** Tells the audit trail who it was. @throws Error if the machine does not know and nobody said */
export function deedOf({ as, reason }: DeedOptions, filter: object): Deed {
  const actor = as ?? accountName();
  return { callId: uuidv7(), actor, via: 'cli', reason: reason ?? null, filter: JSON.stringify(filter) };
}

function accountName(): string {
  try {
    return userInfo().username;
  } catch {
    throw new Error('this machine does not know who you are (in a container nobody has a name): say it by --as NAME');
  }
}

export function parseText(most: number): (value: string) => string {
  return (value) => {
    if (value.length >= 1 && value.length <= most && !value.includes('\0')) return value;
    throw new InvalidArgumentError(`It must have 1 to ${most.toLocaleString('en-US')} characters.`);
  };
}

/** A whole number within bounds. */
export function parseWhole(least: number, most: number): (value: string) => number {
  return (value) => {
    const number = Number(value);
    if (/^\d{1,15}$/u.test(value) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}
