import { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { migrate } from '../postgres/migrate.ts';
import { readEndpoints } from './endpoints-file.ts';

/** `genesis migrate` */
export function migrateCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('migrate')
    .description('bring the database to the newest schema; safe to run at any time, by several at once')
    .addHelpText(
      'after',
      '\nThe database is the one of DATABASE_URL (or POSTGRES_HOST …), else that of the instance running in this folder.',
    )
    .action(async () => {
      const config = loadConfig(env);
      const url = config.database?.url ?? (await readEndpoints(config.local.dataDir))?.postgres;
      if (url === undefined)
        throw new Error('no database: set DATABASE_URL, or start an instance with `genesis start` first');
      let applied = 0;
      await migrate(url, (name) => {
        applied += 1;
        console.log(`applied ${name}`);
      });
      console.log(applied === 0 ? 'the database is up to date' : `done: ${applied} applied`);
    });
}
