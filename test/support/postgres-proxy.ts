import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** What happens to the link at the next COMMIT. */
export type CommitFault =
  /** The server commits, its answer is lost and the link is cut. */
  | 'lose-answer'
  /** COMMIT never reaches the server, and the link is cut. */
  | 'lose-commit'
  /** The server commits, nothing comes back, and the link stays open. */
  | 'black-hole'
  /** The server commits; in place of its answer comes an error, as of a pooler that has lost it, and the link is cut. */
  | 'pooler-error';

export interface PostgresProxy {
  /** The database's address, by way of the proxy. */
  readonly url: string;
  /** Arms a fault for the next COMMIT that passes. */
  failNextCommit(fault: CommitFault): void;
  /** Whether the fault still waits for its COMMIT. */
  isArmed(): boolean;
  /** From now on nothing comes back on the links that exist, and they stay open; new ones work. */
  silenceLinks(): void;
  /** While true new connections are refused. */
  refuse(refusing: boolean): void;
  stop(): Promise<void>;
}

/** The end of a transaction as a client sends it: a simple query, or a prepared statement by its name. */
const COMMIT = 'COMMIT\0';

/** ErrorResponse: a FATAL 08P01. */
const POOLER_ERROR = errorResponse('SFATAL\0VFATAL\0C08P01\0Mserver conn crashed?\0\0');

function errorResponse(fields: string): Buffer {
  const head = Buffer.from('E\0\0\0\0', 'latin1');
  head.writeInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, Buffer.from(fields, 'latin1')]);
}

interface Faults {
  armed: CommitFault | null;
  /** Links made before this count are silent. */
  silentBefore: number;
  links: number;
  refusing: boolean;
}

/** A link to PostgreSQL that fails where it hurts. */
export async function startPostgresProxy(databaseUrl: string): Promise<PostgresProxy> {
  const sockets = new Set<Socket>();
  const faults: Faults = { armed: null, silentBefore: 0, links: 0, refusing: false };
  const server = createServer((client) => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    if (faults.refusing) client.destroy();
    else sockets.add(link(client, new URL(databaseUrl), faults));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(databaseUrl);
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    failNextCommit: (fault) => {
      faults.armed = fault;
    },
    isArmed: () => faults.armed !== null,
    silenceLinks: () => {
      faults.silentBefore = faults.links;
    },
    refuse: (refusing) => {
      faults.refusing = refusing;
    },
    stop: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Joins a client to the database until one of the two ends, or an armed fault strikes. */
function link(client: Socket, target: URL, faults: Faults): Socket {
  const upstream = connect(Number(target.port), target.hostname);
  const number = faults.links;
  faults.links += 1;
  let swallow = false;
  const cut = () => {
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) socket.on('error', cut).on('close', cut);
  client.on('data', (data: Buffer) => {
    const fault = data.includes(COMMIT) ? faults.armed : null;
    if (fault !== null) faults.armed = null;
    if (fault === 'lose-commit') {
      cut();
      return;
    }
    if (fault !== null) swallow = true;
    upstream.write(data);
    if (fault === 'lose-answer') upstream.once('data', cut);
    if (fault === 'pooler-error') upstream.once('data', () => client.end(POOLER_ERROR, cut));
  });
  upstream.on('data', (data: Buffer) => {
    if (!swallow && number >= faults.silentBefore) client.write(data);
  });
  return upstream;
}
