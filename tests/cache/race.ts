import { type Kysely, sql } from 'kysely'
import { PING_EVERY_MS } from '../../db/event-log/index.ts'
import type { Database } from '../../db/schema.ts'
import {
  createCacheMetrics,
  createFreshnessPolicy,
  createReader,
  decodeValue,
  entryKey,
  type EntryStore,
  type IncarnationTracker,
  watermarkKey,
} from '../../shared/cache/index.ts'
import { StoreUnavailable } from '../../shared/cache/entry-store/entry-store.ts'
import { createAppInstruments, createRegistry } from '../../shared/metrics.ts'
import { type Actor, type Cue, Stage } from '../support/chaos-stage.ts'
import type { Example } from '../support/closure.ts'
import { openWorker } from '../support/invalidator.ts'
import type { Loader, Reader, Resource } from '../../shared/resources/cache.ts'

/** Environment of a race. */
export interface Track {
  readonly databaseUrl: string
  readonly db: Kysely<Database>
  readonly loader: Loader
  /** The database incarnation that the loader has seen. */
  readonly incarnationTracker: IncarnationTracker
  /** One per reading process. */
  readonly stores: readonly EntryStore[]
}

/** The readers and writers of one resource. */
export interface Racers {
  readonly resource: Resource
  readonly examples: readonly Example[]
  /** Statements that change an answer. Each call gets a new number. */
  readonly writes: readonly ((n: number) => string)[]
}

/** One step of a schedule. */
export interface Pick {
  /** Continue with the actor of the last step, if possible. */
  readonly stay: boolean
  /** Otherwise, the index of the next actor. */
  readonly who: number
  /** Selects the answer, the change, or a delayed reply. */
  readonly how: number
}

const MOST = { reads: 5, writes: 2, windows: 2 }
/** Far longer than a schedule takes, so that only the lease keeps answers right. */
const MAX_STALENESS_MS = 60_000
/** One in this many steps fails, where it can. */
const TROUBLE_EVERY = 5

/** Runs schedules one after the other. */
export interface Race extends AsyncDisposable {
  /**
   * Runs one schedule until all actors have finished and every commit is applied.
   * @throws StaleAnswer if an answer or an entry is older than the last applied change
   */
  run(picks: readonly Pick[]): Promise<void>
}

/** Prepares a race with its own invalidator and key prefix. */
export async function openRace(
  { databaseUrl, db, loader, incarnationTracker, stores }: Track,
  { resource, examples, writes }: Racers,
): Promise<Race> {
  let stage = new Stage()
  /** The cue of the current window. */
  let applying: Promise<unknown> | undefined
  const invalidator = await openWorker({
    databaseUrl,
    catalog: [resource],
    wrapInvalidationStore: (invalidationStore) => ({
      ...invalidationStore,
      async apply(advances) {
        // An actor waits for one cue at a time, also if its window is applied to several buckets.
        await (applying ??= stage.cue('apply the window'))
        return invalidationStore.apply(advances)
      },
    }),
  })
  const { worker, session, prefix, redis } = invalidator
  // The invalidator's loop pings too: a schedule may pause it for longer than the session's idle
  // timeout.
  const pinging = setInterval(() => void session.ping().catch(() => {}), PING_EVERY_MS)
  worker.acquire([resource])
  const metrics = createCacheMetrics(createAppInstruments(createRegistry()))
  const keys = [...new Set(examples.map(({ params }) => entryKey(prefix, resource, params)))]
  let writeNumber = 0

  const loadAll = () =>
    Promise.all(
      examples.map(async ({ params, variant }) => {
        const { loaded } = await loader.load({ resource, params, variant }, false)
        return loaded?.body ?? null
      }),
    )

  const openReader = (store: EntryStore): Reader =>
    createReader({
      store,
      loader: stagedLoader(() => stage, loader),
      freshnessPolicy: createFreshnessPolicy({
        maxStalenessMs: MAX_STALENESS_MS,
        incarnationTracker,
      }),
      prefix,
      isCached: () => true,
      // Compression takes time between the load and the fill, which the cue of the fill stands for.
      compression: { minBytes: 0, level: 0 },
      metrics,
      onFillError: () => {},
    })

  async function run(picks: readonly Pick[]): Promise<void> {
    stage = new Stage()
    const readers = stores.map((store) => openReader(stagedStore(stage, store)))
    await redis.unlink(keys)
    // The bodies after each commit; `applied` is the index of the last applied one.
    const history = [await loadAll()]
    let applied = 0
    const left = { ...MOST }
    const busy = { writing: false, applying: false }
    const wrong: string[] = []
    const failures: unknown[] = []
    let last: Actor | undefined
    const act = (work: () => Promise<void>) => {
      last = Symbol('actor')
      void stage.act(work, last).catch((error: unknown) => failures.push(error))
    }

    function read(how: number): void {
      left.reads--
      const index = how % examples.length
      const { params, variant } = examples[index] as Example
      const reader = readers[Math.floor(how / examples.length) % readers.length] as Reader
      const appliedBefore = applied
      act(async () => {
        const answer = await reader.read(resource, params, variant)
        const body = answer.body?.toString() ?? null
        const version = history.findLastIndex((bodies) => bodies[index] === body)
        if (version >= appliedBefore) return
        wrong.push(`${variant}: ${answer.outcome} of ${version} after ${appliedBefore} was applied`)
      })
    }

    function write(how: number): void {
      left.writes--
      busy.writing = true
      const statement = writes[how % writes.length]?.(++writeNumber) ?? ''
      act(async () => {
        await db.transaction().execute(async (trx) => {
          await sql.raw(statement).execute(trx)
          await stage.cue('commit')
        })
        history.push(await loadAll())
        busy.writing = false
      })
    }

    function applyWindow(): void {
      left.windows--
      busy.applying = true
      const covered = history.length - 1
      act(async () => {
        applying = undefined
        await worker.applyWindow()
        applied = covered
        busy.applying = false
      })
    }

    const goOn = (cue: Cue) => (how: number) => {
      const [ordinary, trouble = ordinary] = cue.directions
      last = cue.actor
      cue.give(how % TROUBLE_EVERY === 0 ? trouble : ordinary)
    }
    const choose = ({ stay, who }: Pick) => {
      const { cues } = stage
      const same = cues.find(({ actor }) => actor === last)
      if (stay && same) return goOn(same)
      const moves = [
        ...(left.reads > 0 ? [read] : []),
        ...(left.writes > 0 && !busy.writing ? [write] : []),
        ...(left.windows > 0 && !busy.applying ? [applyWindow] : []),
        ...cues.map(goOn),
      ]
      return moves[who % moves.length]
    }

    for (const pick of picks) {
      choose(pick)?.(pick.how)
      await stage.settled()
    }
    await drain(stage)
    while (applied < history.length - 1 && failures.length === 0) {
      applyWindow()
      await drain(stage)
    }
    if (failures.length > 0) throw failures[0]

    const fresh = history.at(-1) ?? []
    for (const [index, { params, variant }] of examples.entries()) {
      const cached = decodeValue(
        await redis.hgetBuffer(entryKey(prefix, resource, params), variant),
      )
      if (cached && (cached.body?.toString() ?? null) !== fresh[index]) {
        wrong.push(`${variant}: older in Redis than in Postgres`)
      }
    }
    if (wrong.length > 0) throw new StaleAnswer(wrong.join('; '))
  }

  return {
    run,
    async [Symbol.asyncDispose]() {
      clearInterval(pinging)
      await redis.unlink([...keys, watermarkKey(prefix)])
      await invalidator[Symbol.asyncDispose]()
    },
  }
}

/** Thrown if an answer or an entry in Redis is older than the last applied change. */
export class StaleAnswer extends Error {
  override readonly name = 'StaleAnswer'
}

/** Completes all actors. An actor that waits for a lease that is never released gives up. */
async function drain(stage: Stage): Promise<void> {
  for (;;) {
    await stage.settled()
    const { cues } = stage
    const next = cues.find(({ directions: [ordinary] }) => ordinary !== 'retry')
    if (next) next.give(next.directions[0])
    else if (cues[0]) cues[0].give('time out')
    else return
  }
}

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
 * A store whose commands and replies wait for cues and can be delayed. It returns `held` only if
 * the reader can join a load; pauses between lease requests are cues.
 */
function stagedStore(stage: Stage, store: EntryStore): EntryStore {
  const flying = new Set<string>()
  const tooLate = () => new StoreUnavailable('too late')

  return {
    now: store.now,
    watermark: store.watermark,
    states: store.states,

    async find(field, budget) {
      await stage.cue('find')
      const cached = await store.find(field, budget)
      await stage.cue('receive what was found')
      return cached
    },

    async lease(field, leaseId, requirement, budget) {
      if ((await stage.cue('request the lease', 'the command is lost')) === 'the command is lost') {
        // Redis still executes the command later.
        void stage.act(async () => {
          await stage.cue('the lost command arrives')
          await store.lease(field, leaseId, requirement, budget)
        })
        throw tooLate()
      }
      for (;;) {
        const reply = await store.lease(field, leaseId, requirement, budget)
        if (reply.state === 'held') {
          if (flying.has(reply.leaseId)) {
            stage.follow()
            return reply
          }
          if ((await stage.cue('retry', 'time out')) === 'retry') continue
          return { state: 'full', nowMs: reply.nowMs }
        }
        if ((await stage.cue('receive the lease', 'the reply is late')) === 'the reply is late') {
          throw tooLate()
        }
        if (reply.state === 'lease') flying.add(leaseId)
        return reply
      }
    },

    fill(field, leaseId, cached, keepMs) {
      flying.delete(leaseId)
      return stage.act(async () => {
        await stage.cue('fill')
        return store.fill(field, leaseId, cached, keepMs)
      })
    },

    release(field, leaseId) {
      flying.delete(leaseId)
      return stage.act(async () => {
        await stage.cue('release the lease')
        await store.release(field, leaseId)
      })
    },
  }
}
