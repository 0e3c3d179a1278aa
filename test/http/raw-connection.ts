import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RawConnection {
  readonly socket: Socket;
  /** All that was received, once the connection is gone, whoever ended it. */
  readonly closed: Promise<string>;
  /** What was received so far. */
  readonly text: () => string;
}

/** A raw connection: what it sends is up to the test, what it received can be read at any time. It ends with the test. */
export async function connectRaw(port: number, text?: string): Promise<RawConnection> {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let received = '';
  socket.setEncoding('utf8').on('data', (chunk) => {
    received += String(chunk);
  });
  socket.on('error', () => undefined);
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(received)));
  await once(socket, 'connect');
  if (text !== undefined) socket.write(text);
  return { socket, closed, text: () => received };
}
