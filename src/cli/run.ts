import { Command } from 'commander';
import type { ServiceType } from '../config.ts';

/** What the command line cannot do by itself: run the services until a signal ends them. */
export interface Actions {
  run(serviceType: ServiceType | null): Promise<void>;
}

const OWN = `
With neither DATABASE_URL (or POSTGRES_HOST) nor KAFKA_BROKERS (or KAFKA_HOST) set it starts its own PostgreSQL and Kafka; their
data is kept in LOCAL_DATA_DIR (.genesis). One such instance per folder: \`api\` and \`relay\` can join it.
Ctrl-C or SIGTERM stops everything within 10 seconds.`;

const JOINS = `
With neither DATABASE_URL (or POSTGRES_HOST) nor KAFKA_BROKERS (or KAFKA_HOST) set it uses the PostgreSQL and Kafka of the
instance that runs in this folder or, if none does, starts its own.
Ctrl-C or SIGTERM stops it within 10 seconds.`;

/** The sub-commands that run services until a signal ends them. */
export function runCommands(actions: Actions): readonly Command[] {
  return [
    new Command('start')
      .description('run what SERVICE_TYPE says: API and relay together by default (this is `npm start`)')
      .addHelpText('after', OWN)
      .action(() => actions.run(null)),
    new Command('api')
      .description('run the HTTP API alone')
      .addHelpText('after', JOINS)
      .action(() => actions.run('api-gateway')),
    new Command('relay')
      .description('run a relay alone: outbox → Kafka; several share the work')
      .addHelpText('after', JOINS)
      .action(() => actions.run('message-relay')),
  ];
}
