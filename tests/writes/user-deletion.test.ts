import { readFile } from 'node:fs/promises'
import { expect } from 'chai'
import { sql } from 'kysely'
import { startTestApi, type TestApi } from '../routes/test-api.ts'

const [MEL, SUE] = [2, 3]
const FILE = new URL('user-deletion.sql', import.meta.url)

/** A column with user ids, and the number of rows that contain the given user. */
interface Column {
  readonly table: string
  readonly column: string
  readonly isNullable: boolean
  readonly rows: number
  readonly named: number
}

for (const madeByDjango of [false, true]) {
  describe(`deletion of a user, tables made by ${madeByDjango ? 'Django' : 'us'}`, () => {
    let api: TestApi

    before(async () => {
      api = await startTestApi({ madeByDjango })
      await api.reset()
      await sql.raw(await readFile(FILE, 'utf8')).execute(api.db)
    })
    after(() => api[Symbol.asyncDispose]())

    it('deletes rows that belong to the user, and sets other references to null', async () => {
      const before = await columnsNaming(MEL)
      const unused = before.filter(({ named }) => named === 0)
      expect(unused, 'columns without a row for the user').to.deep.equal([])

      expect((await api.send('DELETE', `users/${MEL}`, { as: SUE })).status).to.equal(204)

      const after = await columnsNaming(MEL)
      expect(after.filter(({ named }) => named > 0)).to.deep.equal([])
      for (const [place, { table, column, isNullable, rows, named }] of before.entries()) {
        // A row is deleted if either of its two columns contains the user.
        if (table === 'caretakers_caretaker') continue
        const kept = isNullable ? rows : rows - named
        expect(after[place]?.rows, `${table}.${column}`).to.equal(kept)
      }
      for (const table of ['users_employmententry', 'users_educationentry']) {
        const { rows } = await sql`
          select from ${sql.table(table)} where public_profile_id = 42`.execute(api.db)
        expect(rows).to.have.length(0)
      }
      const picture = await sql<{ image_id: null }>`
        select image_id from users_userprofile where user_id = ${SUE}`.execute(api.db)
      expect(picture.rows).to.deep.equal([{ image_id: null }])
    })

    /** Returns every column with a foreign key to users, from the catalog of the database. */
    async function columnsNaming(userId: number): Promise<Column[]> {
      const { rows } = await sql<Omit<Column, 'rows' | 'named'>>`
        select conrelid::regclass::text as "table", attname as "column",
          not attnotnull as "isNullable"
        from pg_constraint join pg_attribute on attrelid = conrelid and attnum = conkey[1]
        where contype = 'f' and confrelid = 'users_user'::regclass
        order by 1, 2
      `.execute(api.db)
      return Promise.all(
        rows.map(async (found) => {
          const counted = await sql<{ rows: number; named: number }>`
            select count(*)::int as rows,
              (count(*) filter (where ${sql.ref(found.column)} = ${userId}))::int as named
            from ${sql.table(found.table)}
          `.execute(api.db)
          return { ...found, ...(counted.rows[0] ?? { rows: 0, named: 0 }) }
        }),
      )
    }
  })
}
