import type { KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of a JSON Web Key Set that tests can rotate and break. */
export interface KeyServer {
  readonly url: string;
  /** How often it was asked. */
  readonly requests: number;
  serve(keys: Readonly<Record<string, KeyObject>>): void;
  serveRaw(status: number, body: string): void;
  /** Takes questions and answers none of them. */
  hold(): void;
  close(): Promise<void>;
}

export async function createKeyServer(): Promise<KeyServer> {
  let answer = { status: 200, body: '{"keys":[]}' };
  let requests = 0;
  let held = false;
  const server = createServer((_request, response) => {
    requests += 1;
    if (held) return;
    response.writeHead(answer.status, { 'content-type': 'application/json', location: '/elsewhere' }).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/keys`,
    get requests() {
      return requests;
    },
    serve(keys) {
      const jwks = Object.entries(keys).map(([kid, key]) => ({ ...key.export({ format: 'jwk' }), kid, use: 'sig' }));
      answer = { status: 200, body: JSON.stringify({ keys: jwks }) };
    },
    serveRaw(status, body) {
      answer = { status, body };
    },
    hold() {
      held = true;
    },
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
