/** Names that were made before: the same few partitions are named for record after record. */
const NAMES = new Map<string, string[]>();
/** A program has one topic, a test some hundred. */
const MOST_TOPICS = 1_000;

/** What a record's batch is named by: `topic:partition`. */
export function partitionName(topic: string, partition: number): string {
  let names = NAMES.get(topic);
  if (names === undefined) {
    if (NAMES.size >= MOST_TOPICS) NAMES.clear();
    NAMES.set(topic, (names = []));
  }
  return (names[partition] ??= `${topic}:${partition}`);
}
