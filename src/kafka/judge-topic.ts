/** An existing topic as far as it matters here. */
export interface ExistingTopic {
  readonly topic: string;
  /** Brokers of the cluster. */
  readonly brokers: number;
  /** Replicas of the partition that has the fewest. */
  readonly replicas: number;
  /** Its settings in force, by Kafka's names. */
  readonly configs: ReadonlyMap<string, string>;
}

export interface TopicJudgement {
  /** Settings by which events would be lost, as `name=value`. */
  readonly losing: readonly string[];
  /** What is worth a warning, a sentence each. */
  readonly warnings: readonly string[];
}

/** Two replicas that both have a record are what survives the loss of a broker; on fewer than three brokers that would cost availability. */
const ENOUGH_BROKERS = 3;
const ENOUGH_REPLICAS = 2;

/** What somebody else's topic lacks to be the log of all events. */
export function judgeTopic({ topic, brokers, replicas, configs }: ExistingTopic): TopicJudgement {
  const warnings: string[] = [];
  if (configs.get('unclean.leader.election.enable') === 'true') {
    warnings.push(
      `topic ${topic} has unclean.leader.election.enable=true: acknowledged events can be lost with a broker`,
    );
  }
  const minInsync = Number(configs.get('min.insync.replicas') ?? ENOUGH_REPLICAS);
  if (brokers >= ENOUGH_BROKERS && Math.min(replicas, minInsync) < ENOUGH_REPLICAS) {
    warnings.push(
      `topic ${topic} has ${replicas} replicas and min.insync.replicas=${minInsync} on ${brokers} brokers: ` +
        'with fewer than 2 of either, acknowledged events can be lost with a broker',
    );
  }
  return { losing: losingSettings(configs), warnings };
}

function losingSettings(configs: ReadonlyMap<string, string>): readonly string[] {
  const policies = (configs.get('cleanup.policy') ?? '').split(',').filter((policy) => policy !== '');
  const losing = policies.includes('compact') ? [`cleanup.policy=${policies.join(',')}`] : [];
  if (!policies.includes('delete')) return losing;
  for (const name of ['retention.ms', 'retention.bytes']) {
    const value = configs.get(name) ?? '-1';
    if (value !== '-1') losing.push(`${name}=${value}`);
  }
  return losing;
}
