import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

const usages: readonly (readonly [readonly string[], string])[] = [
  [['verify', '--session', 'x'], 'It must be the id of a session'],
  [['verify', '--retention-days', '-1'], 'It must be a number of days'],
  [['verify', '--retention-days', 'seven'], 'It must be a number of days'],
  [['rebuild', '--after', '7'], 'It must be the id of a session'],
  [['rebuild', '--wrong'], 'unknown option'],
  [['token'], "required option '--user <name>' not specified"],
  [['token', '--user', ''], 'It must have 1 to 255 characters'],
  [['token', '--user', 'system'], 'is the program itself'],
  [['token', '--user', 'ada', '--role', 'king'], 'Allowed choices are author, agent, operator'],
  [['token', '--user', 'ada', '--expires-in', '0'], 'It must be a whole number of seconds'],
  [['relay', 'now'], 'too many arguments'],
  [['migrate', '--down'], 'unknown option'],
  [['endpoints', '--yaml'], 'unknown option'],
  [['outbox', 'liste'], "unknown command 'liste'"],
  [['shards', 'stop', '1'], "unknown command 'stop'"],
  [['outbox', 'list', '--status', 'sent'], 'Allowed choices are PENDING, SENT, FAILED, DISCARDED'],
  [['outbox', 'list', '--older-than', '1w'], 'It must be a number of s, m, h or d'],
  [['outbox', 'list', '--shard', '-1'], 'It must be a whole number from 0 to 999'],
  [['outbox', 'list', '--event', '1'], 'It must be the id of an event'],
  [['outbox', 'why'], "missing required argument 'session'"],
  [['outbox', 'why', 'x'], 'It must be the id of a session, a UUID, or of a row, a number'],
  [['outbox', 'retry', '--id', '1', 'x'], 'It must be a whole number'],
  [['outbox', 'retry', '--status', 'PENDING'], 'Allowed choices are FAILED'],
  [['outbox', 'retry', '--as', ''], 'It must have 1 to 255 characters'],
  [['outbox', 'discard', '--id', '1', '--yes'], 'discarding is for good: say why by --reason'],
  [['shards', 'pause'], 'name shards, or say --all'],
  [['shards', 'pause', '1', '--all'], 'name shards, or say --all'],
  [['shards', 'pause', 'x'], 'It must be a whole number from 0 to 999'],
  [['stat'], 'unknown command'],
];

/** The command line as `genesis` has it, and what it would have written to the terminal. */
async function commandLine() {
  let written = '';
  const run = () => Promise.reject(new Error('nothing is to run'));
  const program = await createProgram({ run }, {}, '1.2.3');
  const output = { writeErr: (text: string) => (written += text), writeOut: (text: string) => (written += text) };
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.configureOutput(output);
  }
  return { program, written: () => written };
}

describe('the command line', () => {
  it.each(usages)('refuses %j, says why, and does not end the process by itself', async (args, message) => {
    const { program, written } = await commandLine();
    await expect(program.parseAsync(args, { from: 'user' })).rejects.toMatchObject({
      code: expect.stringMatching(/^commander\./) as unknown,
    });
    expect(written()).toContain(message);
  });

  it('teaches: every sub-command is in the help, with what it does', async () => {
    const { program, written } = await commandLine();
    await expect(program.parseAsync(['--help'], { from: 'user' })).rejects.toMatchObject({ exitCode: 0 });
    for (const command of program.commands) {
      expect(written()).toContain(command.name());
      expect(command.description()).not.toBe('');
    }
    expect(written()).toContain('First steps:');
  });
});
