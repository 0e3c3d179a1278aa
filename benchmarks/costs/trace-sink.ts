import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

interface TraceSink {
  readonly address: string;
  stop(): Promise<void>;
}

/** Takes spans by OTLP over HTTP on the loopback address, and forgets them: an exporter without a receiver would only measure what it drops. */
export async function startTraceSink(): Promise<TraceSink> {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.setHeader('Content-Type', 'application/json').end('{}'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
