/** An array of values that need no quotes within an array, as ids, numbers and times do. */
export function plainArray(values: readonly (string | number | null | undefined)[]): string {
  let text = '';
  for (const value of values) text += text === '' ? `${value ?? 'NULL'}` : `,${value ?? 'NULL'}`;
  return `{${text}}`;
}

/**
 * An array of any texts.
 * @see https://www.postgresql.org/docs/18/arrays.html#ARRAYS-IO
 */
export function textArray(values: readonly (string | null)[]): string {
  let text = '';
  for (const value of values) {
    const element = value === null ? 'NULL' : `"${NEEDS_ESCAPE.test(value) ? escaped(value) : value}"`;
    text += text === '' ? element : `,${element}`;
  }
  return `{${text}}`;
}

const NEEDS_ESCAPE = /["\\]/;

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

/** Stands nowhere in JSON, which writes it as an escape sequence. */
const SEPARATOR = '\u001f';

/**
 * JSON texts (or others without control characters) one after another, to be taken apart by string_to_array($n, E'\x1f', ''); null becomes an empty text, then NULL.
 * An array would have each of its many quotes escaped, and read as such.
 */
export function textList(values: readonly (string | null)[]): string {
  return values.map((value) => value ?? '').join(SEPARATOR);
}
