import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A link on which answers can be lost while requests arrive. */
export interface OneWayProxy {
  readonly port: number;
  /** From now on everything that comes back is swallowed. */
  loseAnswers(): void;
  /** Bytes of answers that were swallowed so far. */
  lost(): number;
  /** Resets all connections; new ones are whole again. */
  heal(): void;
  close(): Promise<void>;
}

export async function startOneWayProxy(port: number): Promise<OneWayProxy> {
  const sockets = new Set<Socket>();
  let losing = false;
  let lost = 0;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far);
    far.on('data', (bytes) => {
      if (losing) lost += bytes.length;
      else near.write(bytes);
    });
    for (const one of [near, far]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        near.destroy();
        far.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    loseAnswers: () => void (losing = true),
    lost: () => lost,
    heal() {
      losing = false;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
