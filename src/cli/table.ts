/** A column of a table for people. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string;
  readonly align?: 'right';
  /** It may be cut down to so many characters where the table does not fit; absent: it is never cut. */
  readonly least?: number;
}

const GAP = '  ';

/**
 * A table with a line of titles. Where it is wider than `width` characters, the widest of the columns that may be cut are cut
 * first; what was cut ends in "…".
 */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string {
  const cells = rows.map((row) => columns.map(({ text }) => oneLine(text(row))));
  const widths = fitted(columns, cells, width);
  const lines = [columns.map(({ title }) => title), ...cells].map((line) =>
    line
      .map((cell, index) => padded(cell, widths[index] ?? 0, columns[index]?.align))
      .join(GAP)
      .trimEnd(),
  );
  return lines.join('\n');
}

/** Characters of a line of the terminal; where there is none, as many as it takes. */
export function terminalWidth(): number {
  return process.stdout.isTTY ? process.stdout.columns : Infinity;
}

function fitted<Row>(
  columns: readonly Column<Row>[],
  cells: readonly (readonly string[])[],
  width: number,
): readonly number[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((line) => line[index]?.length ?? 0)),
  );
  const least = columns.map((column, index) => column.least ?? widths[index] ?? 0);
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP.length * (widths.length - 1) - width;
  while (excess > 0) {
    const cuttable = widths.map((one, index) => (one > (least[index] ?? 0) ? one : 0));
    const widest = cuttable.indexOf(Math.max(...cuttable));
    if ((cuttable[widest] ?? 0) === 0) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess -= 1;
  }
  return widths;
}

function padded(cell: string, width: number, align: 'right' | undefined): string {
  const cut = cell.length > width ? `${cell.slice(0, Math.max(0, width - 1))}…` : cell;
  return align === 'right' ? cut.padStart(width) : cut.padEnd(width);
}

/** Words of a broker may have line breaks, and worse for a terminal. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}
