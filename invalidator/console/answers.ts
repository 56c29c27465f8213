import type { ProcessReport } from '../../shared/cache/index.ts'
import type { EntryPart } from './explain-entry.ts'
import { Unanswerable } from './unanswerable.ts'

/** Entries that the request of a URL reads. */
interface EntriesOfUrl {
  /** Status of the response. */
  readonly status: number
  readonly entries: readonly EntryPart[]
}

interface Verified {
  readonly key: string
  readonly variant: string
  readonly outcome: string
}

const TIMEOUT_MS = 15_000

/**
 * Asks a process that serves readers, at its internal address. Only such a process knows which entries a URL reads, and
 * may load them from Postgres.
 */
export class Answers {
  readonly #reports: () => readonly ProcessReport[]

  constructor(reports: () => readonly ProcessReport[]) {
    this.#reports = reports
  }

  /** @throws Unanswerable with the reason. */
  async entriesOf(url: string, userId: string | null): Promise<EntriesOfUrl> {
    const query = new URLSearchParams({ url, ...(userId !== null && { as: userId }) })
    const found = await this.#ask(`console/entries?${query.toString()}`)
    return found as EntriesOfUrl
  }

  /** @throws Unanswerable with the reason. */
  async verify(key: string): Promise<readonly Verified[]> {
    const found = await this.#ask(`console/verification?${new URLSearchParams({ key }).toString()}`)
    return found as readonly Verified[]
  }

  async #ask(path: string): Promise<unknown> {
    const addresses = this.#reports().flatMap(({ lag, answersAt }) =>
      lag === null && answersAt !== undefined ? [answersAt] : [],
    )
    let reason = 'no process reports an address'
    for (const address of addresses) {
      try {
        const response = await fetch(`${address}/${path}`, {
          signal: AbortSignal.timeout(TIMEOUT_MS),
          redirect: 'error',
        })
        const body = (await response.json()) as { readonly detail?: string }
        if (response.ok) return body
        throw new Unanswerable(body.detail ?? `the process answered ${response.status}`)
      } catch (error) {
        if (error instanceof Unanswerable) throw error
        reason = `${address} does not answer`
      }
    }
    throw new Unanswerable(`this needs an API process on its internal port: ${reason}`)
  }
}
