/** Where a command's results go: words for people, or with --json lines for programs. Progress is none of it: it goes to stderr. */
export interface Output {
  /** For people alone. */
  readonly say: (text: string) => void;
  /** One line of JSON, for programs alone. */
  readonly tell: (fact: object) => void;
}

export function outputOf({ json }: { readonly json?: boolean }): Output {
  if (json === true) return { say: () => undefined, tell: (fact) => console.log(JSON.stringify(fact)) };
  return { say: (text) => console.log(text), tell: () => undefined };
}
