import { Command } from 'commander';
import { migrate } from '../postgres/migrate.ts';
import { databaseUrl, WHICH_DATABASE } from './with-database.ts';

/** `genesis migrate` */
export function migrateCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('migrate')
    .description('bring the database to the newest schema; safe to run at any time, by several at once')
    .addHelpText('after', WHICH_DATABASE)
    .action(async () => {
      let applied = 0;
      await migrate(await databaseUrl(env), (name) => {
        applied += 1;
        console.log(`applied ${name}`);
      });
      console.log(applied === 0 ? 'the database is up to date' : `done: ${applied} applied`);
    });
}
