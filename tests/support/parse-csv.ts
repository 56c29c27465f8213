/** Returns the cells of each record of CSV (RFC 4180). */
export const parseCsv = (csv: string): readonly (readonly string[])[] => {
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|$)/gy
  const records: string[][] = []
  let record: string[] = []
  while (cell.lastIndex < csv.length) {
    const found = cell.exec(csv)
    if (!found) throw new Error('not CSV')
    const [, text = '', end] = found
    record.push(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text)
    if (end !== ',') {
      records.push(record)
      record = []
    }
  }
  return records
}
