/** What an expression asks for by name. */
export interface Named {
  /** Each metric that is named, with the labels that its selector goes by. */
  readonly selectors: readonly { readonly metric: string; readonly labels: readonly string[] }[];
  /** Labels in `by (…)`, `on (…)` and the like. */
  readonly grouping: readonly string[];
}

const STRING = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/gu;
const RANGE = /\[[^\]]*\]/gu;
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/gu;
/** A name that no parenthesis follows, which would make it a function, and its matchers. */
const SELECTOR = /(?<![\w:.])([a-zA-Z_:][\w:]*)(?![\w:])(?!\s*\()\s*(?:\{([^}]*)\})?/gu;
const OPERATORS = new Set(['and', 'or', 'unless', 'bool', 'offset', 'sum', 'max', 'min', 'count', 'avg']);

/**
 * The metrics and labels that a PromQL expression names. Whether it is an expression at all is for Prometheus to say. A selector without
 * a name in front (`{job="x"}`) is not foreseen.
 */
export function namedIn(expression: string): Named {
  const bare = expression.replaceAll(STRING, '""').replaceAll(RANGE, '');
  const grouping = [...bare.matchAll(GROUPING)].flatMap(([, labels = '']) => labels.match(/\w+/gu) ?? []);
  const selectors = [...bare.replaceAll(GROUPING, '').matchAll(SELECTOR)]
    .map(([, metric = '', matchers = '']) => ({ metric, labels: matchers.match(/\w+(?=\s*(?:=|!=|=~|!~))/gu) ?? [] }))
    .filter(({ metric }) => !OPERATORS.has(metric));
  return { selectors, grouping };
}
