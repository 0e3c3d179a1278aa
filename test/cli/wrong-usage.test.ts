import type { Command } from 'commander';
import { expect, it } from 'vitest';
import { rebuildCommand } from '../../src/cli/rebuild.ts';
import { verifyCommand } from '../../src/cli/verify.ts';

const usages: readonly (readonly [Command, readonly string[], string])[] = [
  [verifyCommand({}), ['--session', 'x'], 'It must be the id of a session'],
  [verifyCommand({}), ['--retention-days', '-1'], 'It must be a number of days'],
  [verifyCommand({}), ['--retention-days', 'seven'], 'It must be a number of days'],
  [rebuildCommand({}), ['--after', '7'], 'It must be the id of a session'],
  [rebuildCommand({}), ['--wrong'], 'unknown option'],
];

it.each(usages.map(([command, args, message]) => [command.name(), args, message, command] as const))(
  'genesis %s %j is wrong usage',
  async (_, args, message, command) => {
    let written = '';
    command.configureOutput({ writeErr: (text) => (written += text) });
    await expect(command.parseAsync(args, { from: 'user' })).rejects.toThrow(message);
    expect(written).toContain(message);
  },
);
