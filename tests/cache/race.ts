import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type { Worker } from '../../invalidator/worker.ts'
import type { Database } from '../../db/schema.ts'
import { decodeFrame } from '../../shared/cache/frame.ts'
import { entryKey } from '../../shared/cache/key.ts'
import type { Ledger } from '../../shared/cache/ledger.ts'
import type { Loader } from '../../shared/cache/loader.ts'
import { createReader, type Reader } from '../../shared/cache/reader.ts'
import type { Resource } from '../../shared/cache/resource.ts'
import { type EntryStore, StoreUnavailable } from '../../shared/cache/store.ts'
import { createMetrics } from '../../shared/metrics.ts'
import type { Redis } from '../../shared/redis.ts'
import { Stage } from '../support/chaos-stage.ts'
import type { Example } from '../support/closure.ts'

/** What a race is run on. */
export interface Track {
  readonly db: Kysely<Database>
  readonly redis: Redis
  readonly prefix: string
  /** One for each process that reads. */
  readonly stores: readonly EntryStore[]
  readonly loader: Loader
  /** Makes an invalidator of a resource whose steps towards Redis are `wrap`ped. */
  readonly createWorker: (resource: Resource, wrap: (ledger: Ledger) => Ledger) => Worker
}

/** Who races: readers of some answers, and writers of some rows that they are made of. */
export interface Racers {
  readonly resource: Resource
  readonly examples: readonly Example[]
  /** Statements that change an answer; each is given a number that was never used. */
  readonly writes: readonly ((n: number) => string)[]
}

const MOST_READS = 4
const MOST_WRITES = 2
const MOST_WINDOWS = 2

/**
 * Prepares a race; what it returns runs one schedule, in which each number picks the next move. A
 * schedule ends when everybody has come to the end and every commit is applied.
 * @throws when an answer was older than what had been applied before it was asked for, or when
 * something older than Postgres is left in Redis.
 */
export function createRace(track: Track, { resource, examples, writes }: Racers) {
  const { db, redis, prefix, stores, loader } = track
  let stage = new Stage()
  const worker = track.createWorker(resource, (ledger) => ({
    ...ledger,
    async apply(advances) {
      await stage.cue('apply the window')
      return ledger.apply(advances)
    },
  }))
  worker.adopt([resource])
  const metrics = createMetrics()
  const keys = [...new Set(examples.map(({ params }) => entryKey(prefix, resource, params)))]
  let writeNumber = 0

  const loadAll = () =>
    Promise.all(
      examples.map(async ({ params, variant }) => {
        const { loaded } = await loader.load(resource, params, variant, false)
        return loaded?.body ?? null
      }),
    )

  const openReader = (store: EntryStore): Reader =>
    createReader({
      store,
      loader: stagedLoader(() => stage, loader),
      prefix,
      isCached: () => true,
      metrics,
      onFillError: () => {},
    })

  return async function run(picks: readonly number[]): Promise<void> {
    stage = new Stage()
    const readers = stores.map((store) => openReader(stagedStore(stage, store)))
    await redis.unlink(keys)
    // The bodies that each commit left, and how many commits have been applied.
    const history = [await loadAll()]
    let applied = 0
    const left = { reads: MOST_READS, writes: MOST_WRITES, windows: MOST_WINDOWS }
    let isWriting = false
    let isApplying = false
    const wrong: string[] = []
    const failures: unknown[] = []
    const act = (work: () => Promise<void>) => {
      void stage.act(work).catch((error: unknown) => failures.push(error))
    }

    const startRead = (reader: Reader, index: number) => {
      left.reads--
      const { params, variant } = examples[index] as Example
      const appliedBefore = applied
      act(async () => {
        const { body, outcome } = await reader.read(resource, params, variant)
        const version = history.findLastIndex(
          (bodies) => bodies[index] === (body?.toString() ?? null),
        )
        if (version < appliedBefore) {
          wrong.push(`a ${outcome} of version ${version} after ${appliedBefore} was applied`)
        }
      })
    }
    const write = (statement: (n: number) => string) => {
      left.writes--
      isWriting = true
      act(async () => {
        await db.transaction().execute(async (trx) => {
          await sql.raw(statement(++writeNumber)).execute(trx)
          await stage.cue('commit')
        })
        history.push(await loadAll())
        isWriting = false
      })
    }
    const applyWindow = () => {
      left.windows--
      isApplying = true
      const covered = history.length - 1
      act(async () => {
        await worker.applyWindow()
        applied = covered
        isApplying = false
      })
    }
    const moves = () => [
      ...(left.reads > 0
        ? readers.flatMap((reader) => examples.map((_, index) => () => startRead(reader, index)))
        : []),
      ...(left.writes > 0 && !isWriting ? writes.map((statement) => () => write(statement)) : []),
      ...(left.windows > 0 && !isApplying ? [applyWindow] : []),
      ...stage.moves.map((move) => move.take),
    ]

    for (const pick of picks) {
      const possible = moves()
      possible[pick % possible.length]?.()
      await stage.settled()
    }
    await drain(stage)
    while (applied < history.length - 1) {
      applyWindow()
      await stage.settled()
      await drain(stage)
    }
    if (failures.length > 0) throw failures[0]

    const fresh = history.at(-1) ?? []
    expect(await loadAll(), 'what Postgres says').to.deep.equal(fresh)
    for (const [index, { params, variant }] of examples.entries()) {
      const bytes = await redis.hgetBuffer(entryKey(prefix, resource, params), variant)
      const frame = decodeFrame(bytes)
      if (frame && (frame.body?.toString() ?? null) !== fresh[index]) {
        wrong.push(`an older ${variant} is left in Redis`)
      }
    }
    if (wrong.length > 0) throw new StaleAnswer(wrong.join('; '))
  }
}

/** The thing that must never happen. */
export class StaleAnswer extends Error {
  override readonly name = 'StaleAnswer'
}

/** Lets everybody come to the end, those last who wait for others. */
async function drain(stage: Stage): Promise<void> {
  for (;;) {
    const { moves } = stage
    const next =
      moves.find(({ name }) => !LAST_RESORTS.has(name)) ??
      moves.find(({ name }) => name === 'lose patience')
    if (!next) return
    next.take()
    await stage.settled()
  }
}

const LAST_RESORTS = new Set(['ask again', 'lose patience', 'the reply is late', 'it is lost'])

function stagedLoader(stage: () => Stage, loader: Loader): Loader {
  return {
    ...loader,
    async load(...args) {
      await stage().cue('load')
      const reading = await loader.load(...args)
      await stage().cue('end the load')
      return reading
    },
  }
}

/**
 * A store whose commands and replies wait for their cues, and may come too late. `held` reaches the
 * reader only where it joins a load; its pauses between two questions are cues here.
 */
function stagedStore(stage: Stage, store: EntryStore): EntryStore {
  const flying = new Set<string>()
  const tooLate = () => new StoreUnavailable('too late')

  return {
    now: () => store.now(),

    async find(place, budget) {
      await stage.cue('find')
      const frame = await store.find(place, budget)
      await stage.cue('hear what was found')
      return frame
    },

    async lease(place, token, oldestMs, budget) {
      if ((await stage.cue('ask for the lease', 'it is lost')) === 'it is lost') {
        // Redis gets it all the same, some time.
        void stage.act(async () => {
          await stage.cue('the lost one arrives')
          await store.lease(place, token, oldestMs, budget)
        })
        throw tooLate()
      }
      for (;;) {
        const reply = await store.lease(place, token, oldestMs, budget)
        if (reply.state === 'held') {
          if (flying.has(reply.token)) {
            stage.follow()
            return reply
          }
          if ((await stage.cue('ask again', 'lose patience')) === 'ask again') continue
          return { state: 'full', nowMs: reply.nowMs }
        }
        if ((await stage.cue('hear of the lease', 'the reply is late')) === 'the reply is late') {
          throw tooLate()
        }
        if (reply.state === 'lease') flying.add(token)
        return reply
      }
    },

    fill(place, token, frame, keepMs) {
      flying.delete(token)
      return stage.act(async () => {
        await stage.cue('fill')
        return store.fill(place, token, frame, keepMs)
      })
    },

    release(place, token) {
      flying.delete(token)
      return stage.act(async () => {
        await stage.cue('give the lease back')
        await store.release(place, token)
      })
    },
  }
}
