// Ends with 0 if the Genesis of this container answers, else with 1 and the reason: for images, which have no curl.
//   node healthcheck.mjs [/livez | /readyz]
import { get } from 'node:http';

const LIMIT = 2_500;
const path = process.argv[2] ?? '/livez';
// The API listens on PORT, a relay without API on HEALTH_PORT: one of them is there.
const ports = new Set([process.env.PORT, process.env.HEALTH_PORT].filter(Boolean));

const answers = await Promise.all([...ports].map(ask));
if (!answers.includes('200')) {
  console.error(`${path}: ${answers.join(', ') || 'neither PORT nor HEALTH_PORT is set'}`);
  process.exitCode = 1;
}

/** The status of the answer, or why there is none. */
function ask(port) {
  return new Promise((resolve) => {
    const request = get({ port, path, timeout: LIMIT }, (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    request.on('timeout', () => request.destroy(new Error(`port ${port} does not answer within ${LIMIT} ms`)));
    request.on('error', ({ message }) => resolve(message));
  });
}
