/** The official verb table: the only actions that an event name may end in. */
export const EVENT_VERBS = [
  'Requested',
  'Created',
  'Proposed',
  'Submitted',
  'Confirmed',
  'Updated',
  'Revised',
  'Completed',
  'Finished',
  'Failed',
] as const;

const NAME = new RegExp(`^[A-Z][A-Za-z]*\\.[A-Z][A-Za-z]*(\\.[A-Z][A-Za-z]*)?\\.(${EVENT_VERBS.join('|')})$`);

/** Whether `name` is `<Domain>.<AggregateRoot>.<Optional>.<ActionInPastTense>` with an official verb. */
export function isEventName(name: string): boolean {
  return NAME.test(name);
}
