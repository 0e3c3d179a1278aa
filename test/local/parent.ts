/** A process that starts local infrastructure in the folder it is given, says so, and then only waits to be killed. */
import { startLocalInfrastructure } from '../../local/local-infrastructure.ts';

const [, , dataDir = ''] = process.argv;
const { postgres, kafka } = await startLocalInfrastructure({ dataDir });
process.stdout.write(`${JSON.stringify({ url: postgres.url, brokers: kafka.brokers })}\n`);
setInterval(() => undefined, 60_000);
