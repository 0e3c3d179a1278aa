import { Command } from 'commander';
import { countLevels, doctorText } from './doctor/doctor-text.ts';
import { examine } from './doctor/examine.ts';
import { terminalWidth } from './table.ts';
import { WHICH_DATABASE } from './with-database.ts';
import { WHICH_CLUSTER } from './with-topic.ts';

interface DoctorOptions {
  readonly json?: true;
  readonly strict?: true;
}

const HELP = `
Run it where the services run, with their environment. Reads only: nothing is created, sent or locked; whether writing works is not tried.
  ✓ well   ! look at it   ✗ mend it   · could not be looked at
Exit code: 0 nothing to mend · 1 something to mend (with --strict: or to look at, or not looked at) · 2 wrong usage
With --json one line {"checks":[{"area","name","level","detail","todo"}],"ok","warn","fail","skip"}.`;

/** `genesis doctor` */
export function doctorCommand(env: Readonly<Record<string, string | undefined>>): Command {
  return new Command('doctor')
    .description('look at configuration, database, broker, topic and relays, and say what to mend')
    .option('--strict', 'fail also for what is to be looked at, or could not be')
    .option('--json', 'one line of JSON')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}${WHICH_CLUSTER}`)
    .action(async ({ json, strict }: DoctorOptions) => {
      const checks = await examine(env);
      const counts = countLevels(checks);
      const colour = process.stdout.isTTY && (env['NO_COLOR'] ?? '') === '';
      console.log(
        json ? JSON.stringify({ checks, ...counts }) : doctorText(checks, { width: terminalWidth(), colour }),
      );
      if (counts.fail > 0 || (strict && counts.warn + counts.skip > 0)) process.exitCode = 1;
    });
}
