import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';

const SESSION = '01900000-0000-7000-8000-0000000000aa';

const usages: readonly (readonly [string, readonly string[], string])[] = [
  ['reconcile', ['--from', '7'], '--from takes exactly one --partition'],
  ['reconcile', ['--since-now'], '--since-now goes with --follow'],
  ['reconcile', ['--follow', '--partition', '1'], '--follow looks at all partitions'],
  ['reconcile', ['--interval', '0'], 'It must be a number of seconds'],
  ['reconcile', ['--partition', 'x'], 'It must be the number of a partition'],
  ['reconcile', ['--from', '-1'], 'It must be an offset'],
  ['reconcile', ['--show', 'all'], 'It must be a whole number'],
  ['recover', [], "required option '--from-topic' not specified"],
  ['recover', ['--from-topic', '--from', '3'], 'It must be partition:offset'],
  ['republish', ['--all'], "required option '--to-topic <name>' not specified"],
  ['republish', ['--to-topic', 'x'], 'say which events'],
  ['republish', ['--to-topic', 'x', '--all', '--session', SESSION], 'say which events'],
  ['republish', ['--to-topic', 'x', '--all', '--resume', '--append'], 'exclude each other'],
  ['republish', ['--to-topic', 'x', '--since', 'yesterday'], 'It must be a time'],
  ['republish', ['--to-topic', 'x y', '--all'], 'It must be 1 to 249 letters'],
  ['republish', ['--to-topic', 'x', '--all', '--partitions', '0'], 'It must be a whole number'],
];

describe('the commands that compare topic and database', () => {
  it.each(usages)('%s refuses %j and says why', async (name, args, words) => {
    let written = '';
    const program = await createProgram({ run: () => Promise.reject(new Error('nothing is to run')) }, {}, '1.2.3');
    const writeErr = (text: string) => (written += text);
    for (const command of [program, ...program.commands]) command.configureOutput({ writeErr });
    await expect(program.parseAsync([name, ...args], { from: 'user' })).rejects.toMatchObject({
      code: expect.stringMatching(/^commander\./u),
    });
    expect(written).toContain(words);
  });
});
