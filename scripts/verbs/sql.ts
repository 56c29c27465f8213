import type { QueryArrayResult } from 'pg'
import { connectPlain, semanticSettings, parseDatabaseUrl } from '../../db/event-log/index.ts'

/** Runs SQL and prints each result: a table, or the command tag with its row count. */
export async function runSql(url: string, statements: string): Promise<void> {
  const client = await connectPlain(url, { applicationName: 'spms-sql' })
  client.on('notice', ({ message }) => console.error(`notice: ${message}`))
  try {
    // Names resolve as in the services; the other settings are those of the role.
    const { search_path } = semanticSettings(parseDatabaseUrl(url).searchPath)
    await client.query(`set search_path = ${search_path}`)
    const text = { getTypeParser: () => String }
    const answer = await client.query<Row>({ text: statements, rowMode: 'array', types: text })
    // Several statements return an array of results, which the types omit.
    for (const result of [answer].flat()) console.log(render(result))
  } finally {
    await client.end()
  }
}

/** Values as the server formats them. Null is printed as an empty string, as in psql. */
type Row = (string | null)[]

function render({ command, rowCount, fields, rows }: QueryArrayResult<Row>): string {
  if (fields.length === 0) {
    const tag = command === 'INSERT' ? 'INSERT 0' : command
    return rowCount === null ? tag : `${tag} ${rowCount}`
  }
  const names = fields.map(({ name }) => name)
  const cells = rows.map((row) => row.map((value) => value ?? ''))
  const widths = names.map((name, at) =>
    cells.reduce((most, row) => Math.max(most, row[at]?.length ?? 0), name.length),
  )
  const line = (row: readonly string[]) =>
    ` ${row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')}`.trimEnd()
  const rule = widths.map((width) => '-'.repeat(width + 2)).join('+')
  const count = rows.length === 1 ? '(1 row)' : `(${rows.length} rows)`
  return [line(names), rule, ...cells.map(line), count].join('\n')
}
