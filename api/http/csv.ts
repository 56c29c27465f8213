/** The value of a cell. Null is an empty cell. */
export type Cell = string | number | null

/**
 * Returns a record of CSV (RFC 4180). No text in it is a formula for a spreadsheet program, which would run
 * it. Every text is one line.
 */
export const csvRecord = (cells: readonly Cell[]): string => `${cells.map(csvCell).join(',')}\r\n`

function csvCell(cell: Cell): string {
  if (typeof cell !== 'string') return String(cell ?? '')
  const text = withoutFormulas(cell.replaceAll(/\s+/gu, ' ').trim())
  return /[",;]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/**
 * Puts an apostrophe before characters that begin a formula, with which spreadsheet programs mark text.
 * Where a comma separates decimals, these programs split records at semicolons, so a cell may also begin after one.
 */
const withoutFormulas = (text: string): string =>
  text.replaceAll(/(^|;)(?=["' ]*[=+\-@＝＋－＠])/gu, "$1'")
