import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Random } from '../random.ts'
import type { Running } from '../readers/readers.ts'
import type { Door } from './doors.ts'
import type { WriteLog } from './log.ts'
import { codeOf, transact } from './transaction.ts'

const PAUSE_MS = 25
const RECONNECT_MS = 50
const TRIES = 3
/** Serialization failures and deadlocks. A retry may succeed. */
const MAY_PASS = new Set(['40001', '40P01'])

/** A write that failed. */
export interface WriteFailure {
  readonly door: string
  readonly code: string | undefined
  readonly message: string
  /** Whether the error comes from schema `invalidation`. */
  readonly isOurs: boolean
  readonly atMs: number
}

export interface SqlWritersOptions {
  readonly url: string
  readonly doors: readonly Door[]
  readonly count: number
  readonly log: WriteLog
  readonly random: Random
  readonly failures: WriteFailure[]
}

/** Writes by SQL until `stop()`. Reconnects when a connection breaks. */
export function startSqlWriters(options: SqlWritersOptions): Running {
  const { url, doors, log, failures } = options
  const stopping = new AbortController()

  async function write(client: Client, random: Random): Promise<void> {
    while (!stopping.signal.aborted) {
      const door = draw(doors, random)
      const settings = door.options?.(random) ?? {}
      for (let tries = TRIES; tries > 0; tries--) {
        try {
          await transact(client, log, door.name, (trx) => door.work(trx, random), settings)
          break
        } catch (error) {
          failures.push(failureOf(door.name, error))
          const code = codeOf(error)
          if (code?.length !== 5 || code.startsWith('57P')) throw error
          if (!MAY_PASS.has(code)) break
        }
      }
      await sleep(random.between(0, PAUSE_MS))
    }
  }

  async function run(random: Random): Promise<void> {
    while (!stopping.signal.aborted) {
      const client = new Client({
        connectionString: url,
        connectionTimeoutMillis: 2_000,
        // Longer than any fault holds a lock.
        query_timeout: 60_000,
        application_name: 'checker',
        keepAlive: true,
      })
      client.on('error', () => {})
      try {
        await client.connect()
        await write(client, random)
      } catch {
        await sleep(RECONNECT_MS)
      } finally {
        await client.end().catch(() => undefined)
      }
    }
  }

  const running = Array.from({ length: options.count }, (_, n) =>
    run(options.random.branch(`${doors.length} ${n}`)),
  )
  return {
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}

function failureOf(door: string, error: unknown): WriteFailure {
  const { message, where, schema } = error as Error & { where?: string; schema?: string }
  return {
    door,
    message,
    code: codeOf(error),
    // A backend that is terminated (57P*) reports where it was, which is not the cause. The same applies to a
    // transaction that another serializable one has doomed. Triggers read no table, so they doom none.
    isOurs:
      !codeOf(error)?.startsWith('57P') &&
      !message.includes('read/write dependencies among transactions') &&
      (schema === 'invalidation' || /\binvalidation[._]/.test(`${message} ${where ?? ''}`)),
    atMs: performance.now(),
  }
}

function draw(doors: readonly Door[], random: Random): Door {
  let left = random.next() * doors.reduce((sum, { weight }) => sum + weight, 0)
  return doors.find(({ weight }) => (left -= weight) < 0) ?? (doors[0] as Door)
}
