import { Command } from 'commander';
import { loadConfig } from '../config.ts';
import { readEndpoints } from './endpoints-file.ts';

/** `genesis endpoints` */
export function endpointsCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('endpoints')
    .description('where the running instance can be reached: for psql, kcat and Kafka’s own tools')
    .option('--json', 'one line of JSON: {"api","postgres","kafka"}')
    .action(async ({ json }: { json?: true }) => {
      const { dataDir } = loadConfig(env, 'tool').local;
      const endpoints = await readEndpoints(dataDir);
      if (endpoints === null)
        throw new Error(`no instance runs with the data folder ${dataDir}: start one with \`npx genesis start\``);
      const { api, postgres, kafka } = endpoints;
      console.log(
        json
          ? JSON.stringify(endpoints)
          : `API         ${api ?? '(none)'}\nPostgreSQL  ${postgres}\nKafka       ${kafka.join(',')}`,
      );
    });
}
