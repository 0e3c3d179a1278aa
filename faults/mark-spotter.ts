/** The text of a statement that makes rows SENT. */
const MARK = /SET status = (?:CASE|'SENT')/u;
const PARSE = 'P'.charCodeAt(0);
const BIND = 'B'.charCodeAt(0);
const QUERY = 'Q'.charCodeAt(0);

/**
 * Reads what a client says to PostgreSQL on one connection, and recognises marks, prepared or not.
 *
 * @see https://www.postgresql.org/docs/18/protocol-message-formats.html (Parse, Bind, Query)
 */
export class MarkSpotter {
  /** Names of prepared marks; the unnamed statement is ''. */
  readonly #prepared = new Set<string>();
  #rest = Buffer.alloc(0);
  #begun = false;

  /** Whether the execution of a mark is among the messages that are whole with these bytes. */
  sees(bytes: Buffer): boolean {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    let seen = false;
    for (;;) {
      // The first message has no type.
      const head = this.#begun ? 1 : 0;
      if (this.#rest.length < head + 4) return seen;
      const end = head + this.#rest.readInt32BE(head);
      if (this.#rest.length < end) return seen;
      if (this.#begun) seen = this.#isMark(this.#rest.readUInt8(0), this.#rest.subarray(5, end)) || seen;
      this.#begun = true;
      this.#rest = this.#rest.subarray(end);
    }
  }

  #isMark(type: number, body: Buffer): boolean {
    if (type === QUERY) return MARK.test(body.toString('utf8'));
    if (type !== PARSE && type !== BIND) return false;
    // Parse: name, text. Bind: portal, name.
    const [first = '', second = ''] = body.toString('latin1').split('\0', 2);
    if (type === BIND) return this.#prepared.has(second);
    if (MARK.test(second)) this.#prepared.add(first);
    else this.#prepared.delete(first);
    return false;
  }
}
