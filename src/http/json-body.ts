import { GenesisError } from '../errors.ts';

/** Fatal: bytes that are no UTF-8 are an error, not silently U+FFFD in what an author wrote. */
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request body.
 * @throws GenesisError MALFORMED_REQUEST when it is empty, not UTF-8, not JSON, or holds what PostgreSQL or JavaScript could not
 *   keep as it is: NUL, lone surrogates, numbers beyond double precision's range, `__proto__`, `constructor.prototype`.
 */
export function parseJsonBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw malformed('The body is empty; send a JSON object, {} at least');
  const value = parse(decode(bytes));
  mustBeStorable(value);
  return value;
}

/** The refusal of a request that cannot be read. */
export function malformed(message: string): GenesisError {
  return new GenesisError('MALFORMED_REQUEST', message);
}

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw malformed('The body is not valid UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // JSON.parse's message quotes the text; ours does not.
    throw malformed('The body is not valid JSON');
  }
}

/** Walks with a stack of its own: 256 KiB of "[" would overflow the program's. */
function mustBeStorable(root: unknown): void {
  const open: unknown[] = [root];
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value === 'string') mustBeText(value);
    else if (typeof value === 'number') mustBeFinite(value);
    else if (Array.isArray(value)) for (const item of value) open.push(item);
    else if (typeof value === 'object' && value !== null) openMembers(value, open);
  }
}

function openMembers(object: object, open: unknown[]): void {
  for (const [key, value] of Object.entries(object) as [string, unknown][]) {
    mustBeText(key);
    if (key === '__proto__') throw malformed('The body has a member named __proto__');
    if (key === 'constructor' && hasPrototype(value)) throw malformed('The body has a member constructor.prototype');
    open.push(value);
  }
}

function hasPrototype(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, 'prototype');
}

function mustBeText(text: string): void {
  if (text.includes('\0')) throw malformed('The body holds a NUL character');
  if (!text.isWellFormed()) throw malformed('The body holds half of a surrogate pair');
}

function mustBeFinite(value: number): void {
  if (!Number.isFinite(value)) throw malformed('The body holds a number that is too large');
}
