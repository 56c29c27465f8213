import type { Client } from 'pg'
import { type Row, rowName } from '../world/entries.ts'
import type { Write, WriteLog } from './log.ts'

/** The transaction in which a door works. */
export interface Transaction {
  query(text: string, values?: unknown[]): Promise<Row[]>
  /** Returns a new unique version for a row that this transaction writes. */
  version(table: string, id: unknown): string
  /** Declares that a row will change; `*` means all rows of the table. */
  touch(table: string, id: unknown): void
  /** Unique among the transactions of a run. */
  readonly number: number
}

export interface TransactionOptions {
  readonly isolation?: 'repeatable read' | 'serializable'
  /** Whether it ends with ROLLBACK. */
  readonly isRolledBack?: boolean
  /** Whether it ends in two phases, with PREPARE TRANSACTION. */
  readonly isPrepared?: boolean
}

/**
 * Runs one transaction and records when its COMMIT was sent and answered, and its outcome.
 * @throws the error of Postgres or of `work`, after a ROLLBACK.
 */
export async function transact(
  client: Client,
  log: WriteLog,
  door: string,
  work: (trx: Transaction) => Promise<void>,
  { isolation, isRolledBack = false, isPrepared = false }: TransactionOptions = {},
): Promise<void> {
  const write = log.begin(door)
  const run = async (text: string, values?: unknown[]) =>
    (await client.query<Record<string, unknown>>(text, values)).rows
  try {
    await run(isolation ? `begin isolation level ${isolation}` : 'begin')
    await run(`set local lock_timeout = '8s'`)
    await run(`set local checker.write = '${write.number}'`)
    await work({
      query: run,
      number: write.number,
      version: (table, id) => log.version(write, table, id),
      touch: (table, id) => void write.touched.add(rowName(table, id)),
    })
    const gid = `checker ${write.number}`
    if (isPrepared) await run(`prepare transaction '${gid}'`)
    if (isRolledBack) {
      await run(isPrepared ? `rollback prepared '${gid}'` : 'rollback')
      write.outcome = 'rolled back'
      return
    }
    write.sentMs = performance.now()
    write.outcome = 'unknown'
    await run(isPrepared ? `commit prepared '${gid}'` : 'commit')
    write.ackedMs = performance.now()
    write.outcome = 'committed'
  } catch (error) {
    await giveUp(client, write, error)
    throw error
  }
}

/** Rolls back. A COMMIT that the server rejected has no effect; one whose answer was lost may have. */
async function giveUp(client: Client, write: Write, error: unknown): Promise<void> {
  if (write.outcome === 'open' || REFUSED.has(codeOf(error) ?? '')) write.outcome = 'rolled back'
  await client.query('rollback').catch(() => undefined)
}

/** Serialization failures, deadlocks and violated constraints. */
const REFUSED = new Set(['40001', '40P01', '23503', '23505', '23514'])

/** Returns the SQLSTATE of an error; `undefined` for a broken connection. */
export const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error ? String(error.code) : undefined
