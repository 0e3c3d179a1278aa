import { isIPv6 } from 'node:net';
import { VARIABLES, type VariableName } from './variables.ts';

/** Reads variables of the environment and collects what is wrong with them. */
export class Reader {
  readonly problems: string[] = [];
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(env: Readonly<Record<string, string | undefined>>) {
    this.#env = env;
  }

  problem(text: string): void {
    this.problems.push(text);
  }

  optional(name: VariableName): string | undefined {
    const value = this.#env[name];
    return value === undefined || value === '' ? undefined : value;
  }

  text(name: VariableName): string {
    return this.optional(name) ?? VARIABLES[name].default ?? '';
  }

  host(name: VariableName): string | undefined {
    const value = this.optional(name);
    if (value !== undefined && !isHost(value))
      this.problem(`${name} must be a host name or an IP address, without a port`);
    return value;
  }

  /** A name that Kafka takes for a topic: every event carries it, for good. */
  topic(name: VariableName): string {
    const value = this.text(name);
    const legal = /^[\w.-]{1,249}$/u.test(value) && value !== '.' && value !== '..';
    if (!legal) this.problem(`${name} must be 1 to 249 letters, digits, '.', '_' or '-', not '${value}'`);
    return value;
  }

  oneOf<const T extends string>(name: VariableName, values: readonly [T, ...T[]]): T {
    const value = this.text(name);
    const found = values.find((allowed) => allowed === value);
    if (found === undefined) this.problem(`${name} must be one of ${values.join(', ')}, not '${value}'`);
    return found ?? values[0];
  }

  number(name: VariableName, min: number, max: number): number {
    return this.#parse(name, this.text(name), { min, max, whole: true });
  }

  optionalNumber(name: VariableName, min: number, max: number): number | undefined {
    return this.optional(name) === undefined ? undefined : this.number(name, min, max);
  }

  /** In milliseconds. */
  seconds(name: VariableName, min: number, max: number): number {
    return Math.round(this.#parse(name, this.text(name), { min, max, whole: false }) * 1_000);
  }

  url(name: VariableName, protocols: readonly string[]): string | undefined {
    const value = this.optional(name);
    if (value === undefined) return undefined;
    const protocol = URL.parse(value)?.protocol ?? '';
    // Not repeated: it may hold a password.
    if (!protocols.includes(protocol) || !value.toLowerCase().startsWith(`${protocol}//`))
      this.problem(`${name} must be a URL that begins with ${protocols.join('// or ')}//`);
    return value;
  }

  #parse(name: VariableName, value: string, { min, max, whole }: { min: number; max: number; whole: boolean }): number {
    const number = /^\d+(\.\d+)?$/u.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max && (!whole || Number.isInteger(number))) return number;
    this.problem(`${name} must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}, not '${value}'`);
    // Not a number that another rule could judge.
    return Number.NaN;
  }
}

/** A host name or an IP address, without a port. */
export function isHost(host: string): boolean {
  return isIPv6(host) || /^[\w.-]+$/u.test(host);
}
