import { readFile } from 'node:fs/promises'
import { entryKey, paramsOf, type Redis, type ResourceRules } from '../../../shared/cache/index.ts'
import { catalog } from '../../../shared/resources/index.ts'
import { startInvalidator, type TestInvalidator } from '../../support/invalidator.ts'
import { startIssuer } from '../../support/issuer.ts'
import { startSystem, type System } from '../../support/system.ts'
import { until } from '../../support/until.ts'
import { untilApplied } from '../../support/until-applied.ts'
import { type Question, questionsAbout } from './questions.ts'

const WORLD = new URL('world.sql', import.meta.url)
/** Longer than a test needs for one change, and shorter than the lifetime of a cached absence. */
const SOON_MS = 20_000

/** An API with a cache that holds every entry of a small data set, and an invalidator. */
export interface WarmSystem extends AsyncDisposable {
  readonly system: System
  readonly redis: Redis
  /** All entries, as `resource id`. */
  readonly entries: readonly string[]
  /** Returns the last answers to all requests for an entry. */
  answered(entry: string): string | undefined
  /** Returns the entries that Redis contains. */
  cached(): Promise<ReadonlySet<string>>
  /** Repeats all requests for these entries until Redis contains them. */
  warm(entries: readonly string[]): Promise<void>
  /** Reloads entries that expire soon, such as cached absences. */
  renew(): Promise<void>
  /** Deletes all entries, without events. */
  invalidate(): Promise<void>
  /** Waits until all current commits have been applied to every resource. */
  untilApplied(): Promise<void>
  /** Replaces the rules of the invalidator. */
  follow(rules: readonly ResourceRules[]): Promise<void>
}

/** Starts a system with `world.sql` and additional SQL, and fills the cache with all entries. */
export async function startWarmSystem(sql = ''): Promise<WarmSystem> {
  const closing: AsyncDisposable[] = []
  const close = async () => {
    for (const one of closing.toReversed()) await one[Symbol.asyncDispose]()
  }
  try {
    const issuer = await startIssuer()
    closing.push(issuer)
    const system = await startSystem({
      world: (await readFile(WORLD, 'utf8')) + sql,
      env: {
        JWT_ISSUER: issuer.issuer,
        JWT_AUDIENCE: 'spms',
        JWT_JWKS_URL: issuer.jwksUrl,
        // Long lifetimes and time-outs: no entry may expire, or be missing on a busy machine.
        CACHE_TTL_OVERRIDES: catalog.map(({ name }) => `${name}=3600`).join(),
        REDIS_TIMEOUT_MS: '5000',
        REDIS_BUDGET_MS: '5000',
      },
    })
    closing.push(system)
    // It is replaced by an invalidator in this process, whose rules can be changed.
    await system.invalidator.kill()
    const questions = await questionsAbout(issuer)
    return await warmUp(system, questions, closing, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function warmUp(
  system: System,
  questions: ReadonlyMap<string, readonly Question[]>,
  closing: AsyncDisposable[],
  close: () => Promise<void>,
): Promise<WarmSystem> {
  const { sql, prefix } = system
  const entries = [...questions.keys()]
  const answers = new Map<string, string>()
  let invalidator = await invalidateBy(catalog)
  closing.push({ [Symbol.asyncDispose]: () => invalidator[Symbol.asyncDispose]() })

  async function invalidateBy(rules: readonly ResourceRules[]): Promise<TestInvalidator> {
    const started = startInvalidator({
      databaseUrl: system.databaseUrl,
      prefix,
      catalog: rules,
      heartbeatMs: 20,
    })
    await until(() => started.working)
    return started
  }

  /** Returns the entries that expire after `atLeastMs` or later. */
  async function lasting(atLeastMs: number) {
    const pipeline = invalidator.redis.pipeline()
    for (const entry of entries) pipeline.pttl(keyOf(prefix, entry))
    const replies = (await pipeline.exec()) ?? []
    return new Set(entries.filter((_, at) => Number(replies[at]?.[1]) >= atLeastMs))
  }

  const cached = () => lasting(0)

  async function invalidate(given: readonly string[]) {
    if (given.length > 0) await invalidator.redis.del(given.map((entry) => keyOf(prefix, entry)))
  }

  async function warm(wanted: readonly string[]) {
    let cold = wanted
    await until(async () => {
      await Promise.all(cold.map(async (entry) => answers.set(entry, await ask(entry))))
      const warmed = await cached()
      cold = cold.filter((entry) => !warmed.has(entry))
      return cold.length === 0
    })
  }

  async function ask(entry: string): Promise<string> {
    const replies = await Promise.all(
      (questions.get(entry) ?? []).map(({ path, headers }) => system.get(path, headers)),
    )
    return JSON.stringify(replies.map(({ status, text }) => [status, text]))
  }

  const untilAllApplied = () => untilApplied(sql, invalidator.redis, prefix)

  await untilAllApplied()
  await warm(entries)

  return {
    system,
    entries,
    get redis() {
      return invalidator.redis
    },
    answered: (entry) => answers.get(entry),
    cached,
    warm,
    async renew() {
      const kept = await lasting(SOON_MS)
      const others = entries.filter((entry) => !kept.has(entry))
      await invalidate(others)
      await warm(others)
    },
    invalidate: () => invalidate(entries),
    untilApplied: untilAllApplied,
    async follow(rules) {
      await invalidator[Symbol.asyncDispose]()
      invalidator = await invalidateBy(rules)
      await untilAllApplied()
      await warm(entries)
    },
    [Symbol.asyncDispose]: close,
  }
}

function keyOf(prefix: string, entry: string): string {
  const [name, id = ''] = entry.split(' ')
  const resource = catalog.find((one) => one.name === name)
  if (resource === undefined) throw new Error(`unknown resource ${name}`)
  const params = Object.fromEntries(paramsOf(resource).map((param) => [param, id]))
  return entryKey(prefix, resource, params)
}
