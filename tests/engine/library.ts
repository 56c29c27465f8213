import { sql } from 'kysely'
import { defineResource, type Resource } from '../../shared/cache/index.ts'
import type { Library } from './tables.ts'

/** A book with the name of its author. */
export const book = defineResource<Resource<Library>>({
  name: 'book',
  version: 1,
  key: 'book:{author_id}:{code}',
  ttlMs: 60_000,
  staleIfError: true,
  async load(trx, { author_id = '', code = '' }) {
    const { rows } = await sql<{ body: string }>`
      select json_build_object('title', b.title, 'author', a.name)::text as body
      from library.book b join library.author a on a.id = b.author_id
      where b.author_id = ${author_id} and b.code = ${code} collate "C"`.execute(trx)
    return rows[0] ?? null
  },
  staleWhen: [
    { table: 'library.book', watch: ['title'], key: { author_id: 'author_id', code: 'code' } },
    {
      table: 'library.author',
      watch: ['name'],
      from: ['id'],
      query: `select author_id, code from library.book where author_id = any ($1::uuid[])`,
    },
  ],
})

/** The number of an author's books that are on loan. */
export const loans = defineResource<Resource<Library>>({
  name: 'loans',
  version: 1,
  key: 'author:{author_id}:loans',
  ttlMs: 60_000,
  staleIfError: false,
  async load(trx, { author_id = '' }) {
    const { rows } = await sql<{ body: string }>`
      select count(*)::text as body from library.loan where author_id = ${author_id}`.execute(trx)
    return rows[0] ?? null
  },
  staleWhen: [{ table: 'library.loan', watch: ['author_id'], key: { author_id: 'author_id' } }],
})
