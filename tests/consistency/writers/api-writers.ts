import { setTimeout as sleep } from 'node:timers/promises'
import { sessionHeaders } from '../../support/session-headers.ts'
import type { System } from '../../support/system.ts'
import type { Random } from '../random.ts'
import type { Client } from '../readers/client.ts'
import type { Token } from '../readers/read.ts'
import type { Running, Seen } from '../readers/readers.ts'
import { ENTRIES, type RowName, rowName } from '../world/entries.ts'
import type { Write, WriteLog } from './log.ts'
import type { WriteFailure } from './sql-writers.ts'

const WRITERS = 3
const PAUSE_MS = 40
const TIMEOUT_MS = 20_000

export interface ApiWritersOptions {
  readonly system: Pick<System, 'apis'>
  readonly session: string
  readonly client: Client
  readonly log: WriteLog
  readonly random: Random
  readonly seen: Seen
  readonly failures: WriteFailure[]
}

export interface ApiWriters extends Running {
  /** Returns the newest consistency token of all responses; `undefined` before the first. */
  lastToken(): Token | undefined
}

/** A table that the API writes, and an entry that shows its rows. */
interface Target {
  readonly table: string
  readonly ids: number
  readonly write: (id: number, version: string) => { path: string; body: object }
  readonly read: (id: number) => string
}

const TARGETS: readonly Target[] = [
  {
    table: 'users_publicstaffprofile',
    ids: 6,
    write: (id, expertise) => ({ path: `users/staffprofiles/${id}`, body: { expertise } }),
    read: (id) => `users/staffprofiles/${id}/overview`,
  },
  {
    table: 'projects_project',
    ids: 5,
    write: (id, title) => ({ path: `projects/${id}`, body: { title } }),
    read: (id) => `projects/${id}`,
  },
  {
    table: 'agencies_branch',
    ids: 6,
    write: (id, name) => ({ path: `agencies/branches/${id}`, body: { name } }),
    read: () => 'agencies/branches',
  },
  {
    table: 'agencies_businessarea',
    ids: 4,
    write: (id, name) => ({ path: `agencies/business_areas/${id}`, body: { name } }),
    read: () => 'agencies/business_areas',
  },
  {
    table: 'agencies_affiliation',
    ids: 4,
    write: (id, name) => ({ path: `agencies/affiliations/${id}`, body: { name } }),
    read: () => 'agencies/affiliations',
  },
  {
    table: 'users_employmententry',
    ids: 18,
    write: (id, position_title) => ({
      path: `users/employment_entries/${id}`,
      body: { position_title },
    }),
    read: (id) => `users/staffprofiles/${1 + (id % 6)}/cv`,
  },
]

/** Writes through the API. After each write, reads it from random processes with the token of the write. */
export function startApiWriters(options: ApiWritersOptions): ApiWriters {
  const { system, session, client, log, seen, failures } = options
  const stopping = new AbortController()
  let last: Token | undefined

  /** Sends a write. Returns its token and body; `null` if it failed. */
  async function send(
    method: string,
    { path, body }: { path: string; body?: object },
    api: number,
    write = log.begin(`${method} ${path.replaceAll(/\d+/g, '*')}`),
  ): Promise<{ token: Token; answer: string } | null> {
    const askedMs = (write.sentMs = performance.now())
    write.outcome = 'unknown'
    const fail = (code: string | undefined, message: string) =>
      failures.push({ door: write.door, code, message, isOurs: false, atMs: performance.now() })
    try {
      const response = await fetch(`${system.apis[api]}/api/v1/${path}`, {
        method,
        headers: {
          ...(await sessionHeaders(session)),
          ...(body && { 'Content-Type': 'application/json' }),
        },
        ...(body && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      const answer = await response.text()
      if (!response.ok) {
        fail(String(response.status), answer.slice(0, 200))
        if (response.status < 500) write.outcome = 'rolled back'
        return null
      }
      write.ackedMs = performance.now()
      write.outcome = 'committed'
      const token = { text: response.headers.get('consistency-token') ?? '', write, askedMs }
      last = token
      return { token, answer }
    } catch (error) {
      fail(undefined, String(error))
      return null
    }
  }

  async function change(random: Random): Promise<void> {
    const target = random.of(TARGETS)
    const id = random.between(1, target.ids)
    const api = random.between(0, client.apis - 1)
    const write = log.begin(`PUT ${target.table}`)
    const request = target.write(id, log.version(write, target.table, id))
    const done = await send('PUT', request, api, write)
    if (done) await readAgain(target.read(id), done.token, random)
  }

  /** Adds a CV entry and deletes it again. */
  async function addAndRemove(random: Random): Promise<void> {
    const profile = random.between(1, 6)
    const cv = `users/staffprofiles/${profile}/cv`
    const api = random.between(0, client.apis - 1)
    const added = log.begin('POST employment_entries')
    const body = {
      position_title: log.version(added, 'users_employmententry', 'new'),
      start_year: 2000,
      employer: 'Employer',
      section: 'Section',
    }
    const path = `users/profiles/${profile}/employment_entries`
    const done = await send('POST', { path, body }, api, added)
    if (!done) return
    await readAgain(cv, done.token, random)
    const { id } = JSON.parse(done.answer) as { id: number }
    const name = rowName('users_employmententry', id)
    const token = await deleteAgain(
      added,
      name,
      { door: 'DELETE employment_entries', path: `users/employment_entries/${id}` },
      api,
    )
    if (token !== null) await readAgain(cv, token, random)
  }

  /** Creates a project that one user leads, and deletes it again. */
  async function createAndDelete(random: Random): Promise<void> {
    const leader = random.between(1, 8)
    const list = `users/${leader}/projects`
    const api = random.between(0, client.apis - 1)
    const created = log.begin('POST projects/list')
    const body = {
      kind: 'science',
      title: log.version(created, 'projects_project', 'new'),
      projectLead: leader,
      // Creations in one year wait for each other, and the checker reports writers that wait.
      year: 3_000 + created.number,
    }
    const done = await send('POST', { path: 'projects/list', body }, api, created)
    if (!done) return
    await readAgain(list, done.token, random)
    const { id } = JSON.parse(done.answer) as { id: number }
    const name = rowName('projects_project', id)
    const token = await deleteAgain(
      created,
      name,
      { door: 'DELETE projects', path: `projects/${id}` },
      api,
    )
    if (token !== null) await readAgain(list, token, random)
  }

  /** Deletes the row that a write has created. Returns the token, or null if the request failed. */
  async function deleteAgain(
    created: Write,
    row: RowName,
    { door, path }: { door: string; path: string },
    api: number,
  ): Promise<Token | null> {
    const removal = log.begin(door)
    created.touched.add(row)
    removal.touched.add(row)
    log.deletions.set(row, removal)
    return (await send('DELETE', { path }, api, removal))?.token ?? null
  }

  async function readAgain(path: string, token: Token, random: Random): Promise<void> {
    const entry = ENTRIES.find((entry) => entry.path === path)
    if (!entry || token.text === '') return
    for (let times = random.between(1, 3); times > 0; times--) {
      const api = random.between(0, client.apis - 1)
      const outcome = await client.get(entry, { api, token, isConditional: random.chance(0.3) })
      if ('read' in outcome) seen.reads.push(outcome.read)
      else seen.failures.push(outcome)
    }
  }

  const run = async (random: Random) => {
    while (!stopping.signal.aborted) {
      const write = random.chance(0.2)
        ? addAndRemove
        : random.chance(0.2)
          ? createAndDelete
          : change
      await write(random)
      await sleep(random.between(0, PAUSE_MS))
    }
  }
  const running = Array.from({ length: WRITERS }, (_, n) =>
    run(options.random.branch(`api writer ${n}`)),
  )
  return {
    lastToken: () => last,
    async stop() {
      stopping.abort()
      await Promise.all(running)
    },
  }
}
