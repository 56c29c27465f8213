import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import type { Client } from 'pg'
import type { System } from './system.ts'
import { LOAD_PAUSE_MS } from './long.ts'
import { until } from './until.ts'

/** A read, and how long its value had been superseded before the request. */
export interface Sighting {
  /** The first parameter of `Cache-Status`. */
  readonly cache: string | undefined
  /** The `detail` parameter of `Cache-Status`. */
  readonly detail: string | undefined
  /** 0 for a value that was current, or written during the request. */
  readonly staleMs: number
}

/** Writes public profiles, and measures the staleness of reads. */
export interface ProfileWatch {
  readonly ids: readonly string[]
  /** Writes a unique value to a profile. */
  write(id: string): Promise<void>
  /** Reads a profile like a browser, with `If-None-Match` for its copy. */
  read(id: string, api?: number): Promise<Sighting>
  /** Waits until an API serves the newest value from the cache. */
  untilHit(id: string, api?: number): Promise<void>
}

/** Watches some public profiles, which are written through `writer`. */
export async function watchProfiles(
  system: System,
  writer: Client,
  count: number,
): Promise<ProfileWatch> {
  const { rows } = await system.sql.query<{ id: string }>(
    `select p.id from users_publicstaffprofile p join users_user u on u.id = p.user_id
     where not p.is_hidden and u.is_active and u.is_staff order by p.id limit $1`,
    [count],
  )
  /** The values of each profile, with the time after their commit. */
  const histories = new Map<string, { readonly value: string; readonly sinceMs: number }[]>()
  /** The last response from each process, for conditional requests. */
  const copies = new Map<string, { readonly etag: string; readonly about: string | undefined }>()
  const pathOf = (id: string) => `users/staffprofiles/${id}/hero`
  let writes = 0

  return {
    ids: rows.map(({ id }) => id),

    async write(id) {
      const value = `value ${++writes}`
      await writer.query('update users_publicstaffprofile set about = $1 where id = $2', [
        value,
        id,
      ])
      histories.set(id, [...(histories.get(id) ?? []), { value, sinceMs: performance.now() }])
    },

    async read(id, api = 0) {
      const askedAtMs = performance.now()
      const history = histories.get(id) ?? []
      const copy = copies.get(`${api} ${id}`)
      const { status, headers, text, cache } = await system.get(
        pathOf(id),
        copy && { 'If-None-Match': copy.etag },
        api,
      )
      expect(status).to.be.oneOf([200, 304])
      const about = status === 304 ? copy?.about : String(JSON.parse(text).about)
      copies.set(`${api} ${id}`, { etag: headers.get('etag') ?? '', about })
      const at = history.findIndex(({ value }) => value === about)
      // Readers in a closed loop leave processor time to what they test.
      await sleep(LOAD_PAUSE_MS)
      // A value that is not in the history was written during the request.
      const next = at < 0 ? undefined : history[at + 1]
      return {
        cache,
        detail: /detail=([^;]*)/.exec(headers.get('cache-status') ?? '')?.[1],
        staleMs: next ? askedAtMs - next.sinceMs : 0,
      }
    },

    untilHit: (id, api = 0) =>
      until(async () => {
        const { text, cache } = await system.get(pathOf(id), {}, api)
        return cache === 'hit' && text.includes(`"${histories.get(id)?.at(-1)?.value}"`)
      }),
  }
}
