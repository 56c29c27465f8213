import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { install } from '../../db/event-log/index.ts'
import { type Answer, compileRules, entryKey } from '../../shared/cache/index.ts'
import { book, loans } from '../engine/library.ts'
import type { Library } from '../engine/tables.ts'
import { type CachedReads, openCachedReads } from '../support/cached-reads.ts'
import { createEmptyDatabase } from '../support/database.ts'
import { type PrivateCluster, startPrivateCluster } from '../support/private-cluster.ts'
import { until } from '../support/until.ts'

/** A cluster with the cached books of one author, some in each bucket. */
export interface ClusterLibrary extends AsyncDisposable {
  readonly cluster: PrivateCluster
  readonly databaseUrl: string
  readonly reads: CachedReads<Library>
  readonly client: Client
  /** Codes of all books. */
  readonly codes: readonly string[]
  read(code: string): Promise<Answer>
  /** Reads until the answer comes from Redis. */
  readCached(code: string): Promise<string>
  /** Changes the titles of books by SQL. Returns when the change is committed. */
  rename(codes: readonly string[], title: string): Promise<void>
  titleOf(answer: Answer): string
  bucketOf(code: string): number
  slotOf(code: string): Promise<number>
  /** Returns books of distinct buckets whose slots one server has, or not. */
  codesOn(port: number): readonly string[]
  codesOutside(port: number): readonly string[]
}

const AUTHOR = '6d1d6a35-6a3c-4d0a-bbb9-5e7a0cbe9c5e'
const BOOKS = 300
const LIBRARY = [book, loans]

/** Starts a cluster, creates the books and opens a reader and an invalidator. */
export async function openClusterLibrary(nodeTimeoutMs?: number): Promise<ClusterLibrary> {
  const cluster = await startPrivateCluster(nodeTimeoutMs)
  const database = await createEmptyDatabase()
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query(await readFile(new URL('../engine/library.sql', import.meta.url), 'utf8'))
  await client.query(
    `insert into library.author values ('${AUTHOR}', 'Woolf');
     insert into library.book select '${AUTHOR}', i::text, 'first' from generate_series(1, ${BOOKS}) i`,
  )
  await install(database.url, compileRules(LIBRARY))
  const reads = await openCachedReads(database.url, LIBRARY, 'library', { redisUrl: cluster.url })
  const { buckets, prefix } = reads
  const codes = Array.from({ length: BOOKS }, (_, i) => `${i + 1}`)
  const read = (code: string) => reads.reader.read(book, { author_id: AUTHOR, code }, 'full')
  const bucketOf = (code: string) =>
    buckets.bucketOf(entryKey(prefix, book, { author_id: AUTHOR, code }))
  /** One book of each bucket. */
  const distinct = [...new Map(codes.map((code) => [bucketOf(code), code])).values()]
  const portOf = (code: string) => buckets.connectionOf(bucketOf(code))?.options.port

  return {
    cluster,
    databaseUrl: database.url,
    reads,
    client,
    codes,
    read,
    async readCached(code) {
      let answer = await read(code)
      await until(async () => (answer = await read(code)).outcome === 'hit')
      return String(answer.body)
    },
    async rename(renamed, title) {
      await client.query('update library.book set title = $1 where code = any ($2)', [
        title,
        renamed,
      ])
    },
    titleOf: ({ body }) => (JSON.parse(String(body)) as { title: string }).title,
    bucketOf,
    slotOf: (code) => cluster.slotOf(bucketOf(code)),
    codesOn: (port) => distinct.filter((code) => portOf(code) === port),
    codesOutside: (port) => distinct.filter((code) => portOf(code) !== port),
    async [Symbol.asyncDispose]() {
      await reads[Symbol.asyncDispose]()
      await client.end()
      await database[Symbol.asyncDispose]()
      await cluster[Symbol.asyncDispose]()
    },
  }
}
