/** The tables of `library.sql`, as Kysely knows them. */
export interface Library {
  'library.author': { id: string; name: string }
  'library.book': { author_id: string; code: string; title: string }
  'library.loan': { id: string; author_id: string; code: string; borrower: string }
}
