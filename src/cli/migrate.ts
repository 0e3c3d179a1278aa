import { Command } from 'commander';
import { migrate } from '../postgres/migrate.ts';
import { outputOf } from './output.ts';
import { databaseUrl, WHICH_DATABASE } from './with-database.ts';

const HELP = `
Exit code: 0 the database is up to date · 1 it is not: the message says why, and nothing is half done`;

/** `genesis migrate` */
export function migrateCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('migrate')
    .description('bring the database to the newest schema; safe to run at any time, by several at once')
    .option('--contract', 'also take away what earlier versions need: once none of them is at work', false)
    .option('--json', 'at the end one line {"applied","left"}: names of migrations')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}`)
    .action(async ({ contract, json }: { readonly contract: boolean; readonly json?: true }) => {
      const { say, tell } = outputOf({ json: json === true });
      const applied: string[] = [];
      const left = await migrate(await databaseUrl(env), {
        contract,
        onApplied: (name) => {
          applied.push(name);
          say(`applied ${name}`);
        },
        onWait: (name) => console.error(`${name} waits for a table that somebody has in a long transaction`),
      });
      say(applied.length === 0 ? 'the database is up to date' : `done: ${applied.length} applied`);
      if (left.length > 0)
        say(`left: ${left.join(', ')}: once no earlier version is at work, run \`npx genesis migrate --contract\``);
      tell({ applied, left });
    });
}
