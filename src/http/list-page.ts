import { encodeCursor, type CursorKind } from './cursor.ts';

/** The cursor of the page behind `last`, the last item of this one. */
export function nextCursor(kind: CursorKind, last: string | undefined, more: boolean): string | null {
  return more && last !== undefined ? encodeCursor(kind, last) : null;
}

/** The first `limit` of rows that were read one more than needed: the one more says that there is another page. */
export function pageOf<Row>(
  rows: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly more: boolean } {
  return { rows: rows.slice(0, limit), more: rows.length > limit };
}
