const EVENT_STREAM = 'text/event-stream';
const JSON_TYPE = 'application/json';

/**
 * Whether an Accept header asks for a stream rather than JSON (RFC 9110, 12.5.1): it names text/event-stream and does not like
 * application/json as much. Wildcards never open a stream. Who accepts neither gets JSON, as the RFC lets us.
 */
export function acceptsEventStream(accept: string | undefined): boolean {
  const weights = weightsOf(accept ?? '');
  const stream = weights.get(EVENT_STREAM) ?? 0;
  return stream > 0 && stream > (weights.get(JSON_TYPE) ?? 0);
}

function weightsOf(accept: string): ReadonlyMap<string, number> {
  return new Map(
    accept.split(',').map((range) => {
      const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
      return [type, weightOf(parameters)] as const;
    }),
  );
}

/** RFC 9110, 12.4.2: 0 to 1 with three digits at most; 1 when it is absent. What is none counts as 0. */
function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  if (weight === undefined) return 1;
  return /^q=(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight.slice(2)) : 0;
}
