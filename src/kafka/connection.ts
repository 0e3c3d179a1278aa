import type { Base, BaseOptions } from '@platformatic/kafka';
import type { KafkaConfig } from '../config.ts';

/** What every client of the cluster is opened with: where it is, TLS and SASL. */
export function connectionOptions(kafka: KafkaConfig, clientId: string): BaseOptions {
  return {
    clientId,
    bootstrapBrokers: [...kafka.brokers],
    strict: true,
    autocreateTopics: false,
    connectTimeout: 5_000,
    // A broker that is frozen or behind a black hole is noticed after this; the client's default is 30 s.
    requestTimeout: 5_000,
    // Must end before the request does, else a broker that waits for replicas is taken for a dead one.
    timeout: 4_000,
    ...(kafka.tls === undefined ? {} : { tls: { ...kafka.tls } }),
    ...(kafka.sasl === undefined ? {} : { sasl: { ...kafka.sasl } }),
  };
}

/** Closes a client without waiting for what a broken connection still wants to write or to hear. Never rejects. */
export async function closeAtOnce(client: Pick<Base, 'connections'>, close: () => Promise<unknown>): Promise<void> {
  const sockets = [...client.connections].map(([, connection]) => connection.socket);
  const closed = close().catch(() => {});
  for (const socket of sockets) socket.destroy();
  await closed;
}
