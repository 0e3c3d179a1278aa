import type { OutgoingRecord } from '../relay/ports.ts';

/**
 * Largest record that is sent at all, in bytes of its value. A request beyond the broker's socket.request.max.bytes (100 MiB
 * by default) is answered by a closed connection, which nobody could tell from an outage.
 */
const MAX_VALUE_BYTES = 50 * 1024 * 1024;

/**
 * Why a record cannot be encoded, or null. Checked here because the client either retries such a record for ever or writes
 * something else (a lone surrogate becomes U+FFFD). Types are checked too: rows come from a database.
 */
export function encodingFault(record: OutgoingRecord): string | null {
  const { key, payload, shard, headers } = record;
  const fault = textFault('the key', key) ?? valueFault(payload) ?? headersFault(headers);
  if (fault !== null) return fault;
  if (!Number.isInteger(shard) || shard < 0) return `the partition is ${String(shard)}`;
  const bytes = payload === null ? 0 : Buffer.byteLength(payload);
  return bytes > MAX_VALUE_BYTES ? `the value has ${bytes} bytes, more than any request may carry` : null;
}

/** A marker has none. */
function valueFault(payload: unknown): string | null {
  return payload === null ? null : textFault('the value', payload);
}

function headersFault(headers: unknown): string | null {
  if (typeof headers !== 'object' || headers === null) return 'the headers are no object';
  const texts = headers as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(texts)) {
    if (!name.isWellFormed()) return textFault('a header name', name);
    const text = texts[name];
    if (typeof text !== 'string' || !text.isWellFormed()) return textFault(`the header ${name}`, text);
  }
  return null;
}

function textFault(what: string, text: unknown): string | null {
  if (typeof text !== 'string') return `${what} is no text`;
  return text.isWellFormed() ? null : `${what} has a lone surrogate`;
}
