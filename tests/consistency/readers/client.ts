import type { System } from '../../support/system.ts'
import type { Entry } from '../world/entries.ts'
import { versionsIn } from '../world/versions.ts'
import { originOf, type Read, type Token } from './read.ts'

/** Longer than the maximum time of any answer. */
const TIMEOUT_MS = 20_000

/** A read that can be checked, or the failure to get an answer. */
export type Outcome =
  | { readonly read: Read; readonly status: number; readonly text: string }
  | { readonly failure: string; readonly startMs: number; readonly endMs: number }

export interface Client {
  get(
    entry: Entry,
    options?: { api?: number; token?: Token | undefined; isConditional?: boolean },
  ): Promise<Outcome>
  readonly apis: number
}

/** Returns a client that reads over HTTP, and keeps the last response of each entry for conditional requests. */
export function createClient(system: Pick<System, 'apis'>, session: string): Client {
  const copies = new Map<Entry, { readonly etag: string; readonly versions: readonly string[] }>()

  return {
    apis: system.apis.length,

    async get(entry, { api = 0, token, isConditional = false } = {}) {
      const copy = isConditional ? copies.get(entry) : undefined
      const headers: Record<string, string> = {
        ...(entry.isPrivate && { Cookie: `spms_session=${session}` }),
        ...(token && { 'Consistency-Token': token.text }),
        ...(copy && { 'If-None-Match': copy.etag }),
      }
      const startMs = performance.now()
      try {
        const signal = AbortSignal.timeout(TIMEOUT_MS)
        const response = await fetch(`${system.apis[api]}/api/v1/${entry.path}`, {
          headers,
          signal,
        })
        const text = await response.text()
        const endMs = performance.now()
        const { status } = response
        const cacheStatus = response.headers.get('cache-status')
        if (cacheStatus === null || ![200, 304, 404].includes(status)) {
          return { failure: `${status} ${text.slice(0, 200)}`, startMs, endMs }
        }
        const versions = status === 304 ? copy?.versions : versionsIn(text)
        if (!versions) return { failure: `304 without a copy`, startMs, endMs }
        const etag = response.headers.get('etag')
        if (status === 200 && etag !== null) copies.set(entry, { etag, versions })
        return {
          status,
          text,
          read: {
            entry,
            api,
            startMs,
            endMs,
            cacheStatus,
            origin: originOf(cacheStatus),
            versions,
            token,
          },
        }
      } catch (error) {
        return { failure: String(error), startMs, endMs: performance.now() }
      }
    },
  }
}
