/**
 * What every Kafka client of this agent is opened with. A cluster with TLS and SASL needs `tls` and `sasl` here.
 * Time-outs in milliseconds: a broker that is frozen is noticed after `requestTimeout`.
 */
export function connectionTo(brokers: readonly string[], clientId: string) {
  return {
    clientId,
    bootstrapBrokers: [...brokers],
    strict: true,
    autocreateTopics: false,
    connectTimeout: 3_000,
    requestTimeout: 10_000,
  };
}
