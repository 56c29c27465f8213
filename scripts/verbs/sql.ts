import type { QueryArrayResult } from 'pg'
import { connectPlain } from '../../db/connection.ts'
import { parseDatabaseUrl } from '../../db/database-url.ts'
import { meaningOf } from '../../db/settings.ts'

/** Runs SQL and prints each answer: an aligned table, or how many rows it touched. */
export async function runSql(url: string, statements: string): Promise<void> {
  const client = await connectPlain(url, { applicationName: 'spms-sql' })
  client.on('notice', ({ message }) => console.error(`notice: ${message}`))
  try {
    // Names mean what they mean to the services; everything else is as the role has it.
    const { search_path } = meaningOf(parseDatabaseUrl(url).searchPath)
    await client.query(`set search_path = ${search_path}`)
    const text = { getTypeParser: () => String }
    const answer = await client.query<Row>({ text: statements, rowMode: 'array', types: text })
    // Several statements in one text are answered by several results, which the types do not say.
    for (const result of [answer].flat()) console.log(render(result))
  } finally {
    await client.end()
  }
}

/** As the server wrote it; null is empty, as in psql. */
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
