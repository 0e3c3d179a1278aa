import { createServer, type AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { requireFreePort } from '../../src/bin/require-free-port.ts';

const at = (host: string, port: number) => ({ host, port });

it('says that a port is in use, and which variable mends it', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as AddressInfo;
  await expect(requireFreePort(at('127.0.0.1', port))).rejects.toThrow(/^port \d+ of 127.0.0.1 is in use: set PORT/u);
  await new Promise((resolve) => taken.close(resolve));
  await requireFreePort(at('127.0.0.1', port));
});

it('says that an address is none of this machine', async () => {
  await expect(requireFreePort(at('203.0.113.5', 8080))).rejects.toThrow(/no address of this machine: set HOST/u);
});
