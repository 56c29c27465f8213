import type { Client } from 'pg'

/** The rows that a run changes: a contiguous range of ids, and the text that they get. */
export interface Rows {
  readonly firstId: number
  readonly count: number
  readonly text: string
}

/** A way to change each row by a statement of its own. */
export interface Way {
  readonly name: string
  change(client: Client, rows: Rows): Promise<unknown>
}

const UPDATE = 'update users_employmententry set position_title ='

/** The client sends statements without waiting for answers, so its speed hardly matters. */
export const WAYS: readonly Way[] = [
  {
    name: 'in a transaction each',
    change: (client, rows) => Promise.all(sendEach(client, rows)),
  },
  {
    name: 'in one transaction',
    change: (client, rows) =>
      Promise.all([client.query('begin'), ...sendEach(client, rows), client.query('commit')]),
  },
  {
    name: 'in one transaction, in a savepoint each',
    change: (client, rows) =>
      Promise.all([
        client.query('begin'),
        ...sendEach(client, rows, ['savepoint one', 'release one']),
        client.query('commit'),
      ]),
  },
  { name: 'in a loop of PL/pgSQL', change: (client, rows) => client.query(loop(rows)) },
  {
    name: 'in a loop of PL/pgSQL, in a savepoint each',
    // A block with an exception handler is a savepoint.
    change: (client, rows) =>
      client.query(loop(rows, ['begin', 'exception when division_by_zero then null; end;'])),
  },
]

function sendEach(
  client: Client,
  { firstId, count, text }: Rows,
  around: readonly [before: string, after: string] | null = null,
): Promise<unknown>[] {
  const prepared = (statement: string) => client.query({ name: statement, text: statement })
  return Array.from({ length: count }, (_, n) => [
    ...(around ? [prepared(around[0])] : []),
    client.query({
      name: 'update',
      text: `${UPDATE} $1 where id = $2`,
      values: [text, firstId + n],
    }),
    ...(around ? [prepared(around[1])] : []),
  ]).flat()
}

const loop = ({ firstId, count, text }: Rows, [before, after]: readonly string[] = ['', '']) =>
  `do $$ begin for id_of_row in ${firstId} .. ${firstId + count - 1} loop
     ${before} ${UPDATE} '${text}' where id = id_of_row; ${after}
   end loop; end $$`
