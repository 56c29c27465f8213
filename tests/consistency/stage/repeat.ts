import { setTimeout as sleep } from 'node:timers/promises'
import { codeOf } from '../writers/transaction.ts'

const TIMES = 20
const EVERY_MS = 100

/**
 * Runs a transaction, and retries it after a deadlock, a lock time-out or "tuple concurrently updated".
 * GRANT causes the latter: it takes no lock that TRUNCATE or ALTER TABLE would wait for.
 */
export async function repeatLost(run: () => Promise<unknown>): Promise<void> {
  for (let time = 1; ; time++) {
    try {
      await run()
      return
    } catch (error) {
      const isLost = ['XX000', '40P01', '55P03'].includes(codeOf(error) ?? '')
      if (!isLost || time === TIMES) throw error
      await sleep(EVERY_MS)
    }
  }
}
