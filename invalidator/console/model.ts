import { createHash, timingSafeEqual } from 'node:crypto'
import { errorCode } from '../../db/event-log/index.ts'
import {
  bareKey,
  type Buckets,
  type InvalidationStores,
  paramsOf,
  type ProcessReport,
  type ResourceRules,
} from '../../shared/cache/index.ts'
import type { Finding } from '../doctor/finding.ts'
import { Answers } from './answers.ts'
import type { Change } from './change.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { EntryUsage } from './entry-usage.ts'
import { type Examined, NO_REDIS } from './examination.ts'
import {
  type EntryPart,
  entryOfKey,
  explainEntry,
  type ExplainedEntry,
  type ExplainedRule,
  isUrl,
  rulesOf,
} from './explain-entry.ts'
import { requestFlush, resourcesOf, untilFlushed } from './flush.ts'
import { Unanswerable } from './unanswerable.ts'
import { type History, oldestMs, type Point, totalsOf } from './history.ts'

/** The view Overview. */
export interface Overview {
  readonly title: string
  readonly headline: Headline
  readonly findings: readonly Finding[]
  readonly processes: readonly ShownProcess[]
  /** Points after the requested time. */
  readonly points: readonly Point[]
  readonly isRedisUp: boolean
  readonly redisMaxBytes: number | null
  /** Sessions of invalidators in Postgres; null if it does not answer. */
  readonly sessions: Examined['sessions']
  /** Whether a flush is possible with a token. */
  readonly canFlush: boolean
  readonly exampleCommand: string | null
}

/** One sentence about the whole system. */
export interface Headline {
  readonly kind: 'right' | 'wrong'
  readonly text: string
  /** The action that corrects it; null if nothing is wrong. */
  readonly remedy: string | null
}

export type ShownProcess = Pick<
  ProcessReport,
  'id' | 'application' | 'version' | 'host' | 'pid' | 'startedAtMs' | 'residentBytes' | 'owned'
> & {
  /** Whether it served this page. */
  readonly isThis: boolean
  readonly reads: number
}

/** A resource in the view Resources. */
export interface ShownResource {
  readonly name: string
  readonly version: number
  readonly key: string
  readonly parameters: readonly string[]
  readonly ttlMs: number | null
  readonly usage: EntryUsage | null
  readonly hits: number
  readonly misses: number
  readonly stale: number
  readonly loads: number
  readonly invalidated: number
  readonly bypasses: Readonly<Record<string, number>>
  readonly rules: readonly ExplainedRule[]
  readonly owner: string | null
}

/** The view Explain. */
export interface Explained {
  /** Status of the response to a URL; null for a key. */
  readonly status: number | null
  readonly entries: readonly (ExplainedEntry & {
    /** The last changes that invalidated it, the newest first. */
    readonly changes: readonly Change[]
  })[]
}

/** Result of a comparison with Postgres. */
export interface VerifiedEntry {
  readonly key: string
  readonly variant: string
  readonly outcome: string
}

export interface Model {
  overview(afterMs: number): Promise<Overview>
  resources(): Promise<readonly ShownResource[]>
  /** @throws Unanswerable with the reason. */
  explain(what: string, userId: string | null): Promise<Explained>
  /** Compares an entry with Postgres. @throws Unanswerable if no process can. */
  verify(key: string): Promise<readonly VerifiedEntry[]>
  /** @throws Unanswerable if nothing matches. */
  flush(what: string): Promise<{ readonly resources: readonly string[]; readonly isDone: boolean }>
  /** Compares in constant time. */
  isToken(token: string): boolean
}

export interface ModelDeps {
  readonly application: {
    readonly title: string
    readonly catalog: readonly ResourceRules[]
    readonly exampleCommand?: string
  }
  readonly token?: string | undefined
  readonly databaseUrl: string
  readonly applicationName: string
  readonly buckets: Buckets
  readonly prefix: string
  readonly id: string
  readonly feed: ChangeFeed
  readonly history: History
  readonly stores: InvalidationStores
  readonly countEntries: () => Promise<ReadonlyMap<string, EntryUsage>>
  readonly examine: () => Promise<Examined>
}

const FLUSH_TIMEOUT_MS = 15_000
const SHOWN_CHANGES = 10

export function createModel(deps: ModelDeps): Model {
  const { application, token, buckets, prefix, feed, history, stores } = deps
  const { catalog } = application
  const answers = new Answers(() => history.reports)

  return {
    async overview(afterMs) {
      const examined = await deps.examine()
      // Redis may have stopped since the examination.
      const findings =
        history.isRedisUp || examined.findings.includes(NO_REDIS)
          ? examined.findings
          : [NO_REDIS, ...examined.findings]
      return {
        title: application.title,
        headline: headlineOf(findings, history, catalog),
        findings,
        processes: history.reports.map((report) => showProcess(report, deps.id)),
        points: history.points.filter(({ atMs }) => atMs > afterMs),
        isRedisUp: history.isRedisUp,
        redisMaxBytes: history.usage?.maxBytes || null,
        sessions: examined.sessions,
        canFlush: token !== undefined,
        exampleCommand: application.exampleCommand ?? null,
      }
    },

    async resources() {
      const usage = await deps.countEntries().catch(() => null)
      return catalog.map((resource) =>
        showResource(resource, history.reports, usage?.get(resource.name) ?? null),
      )
    },

    async explain(what, userId) {
      const named = entryOfKey(catalog, prefix, what)
      if (named === null && !isUrl(prefix, what)) {
        throw new Unanswerable(
          `${what} is not a key; keys have the form ${catalog.map(({ key }) => key).join(', ')}`,
        )
      }
      const { status, entries } =
        named === null
          ? await answers.entriesOf(what, userId)
          : { status: null, entries: [named] as readonly EntryPart[] }
      if (!history.isRedisUp) throw new Unanswerable('Redis does not answer')
      const explained = await Promise.all(
        entries
          .filter(({ resource }) => catalog.some(({ name }) => name === resource))
          .map((entry) => {
            const place = buckets.place(entry.key)
            if (place === null) throw new Unanswerable('Redis does not answer')
            return explainEntry(place.redis, place.prefix, catalog, { ...entry, key: place.key })
          }),
      )
      return {
        status,
        entries: explained.map((entry) => ({ ...entry, changes: changesOf(feed, entry) })),
      }
    },

    verify: async (key) =>
      (await answers.verify(key)).map((one) => ({ ...one, key: bareKey(prefix, one.key) })),

    async flush(what) {
      const resources = resourcesOf(catalog, prefix, what)
      if (resources.length === 0) throw new Unanswerable(`no cached resource matches ${what}`)
      const { databaseUrl, applicationName } = deps
      const requested = await requestFlush(
        databaseUrl,
        `${applicationName}-console`,
        bareKey(prefix, what),
      ).catch(explainMissingRight)
      const isDone = await untilFlushed(stores, resources, requested, FLUSH_TIMEOUT_MS)
      return { resources, isDone }
    },

    isToken(given) {
      if (token === undefined) return false
      // Hashes have equal lengths, as the comparison requires.
      return timingSafeEqual(sha256(given), sha256(token))
    },
  }
}

/** insufficient_privilege */
const NO_RIGHT = '42501'

function explainMissingRight(error: unknown): never {
  if (errorCode(error) !== NO_RIGHT) throw error
  throw new Unanswerable(
    'the role of the invalidator lacks a right: grant execute on function invalidation.flush(text) to it',
  )
}

const sha256 = (text: string) => createHash('sha256').update(text).digest()

function headlineOf(
  findings: readonly Finding[],
  { points, marks, redisMs, isRedisUp, reports }: History,
  catalog: readonly ResourceRules[],
): Headline {
  const [first] = findings
  if (first?.kind === 'wrong') {
    return { kind: 'wrong', text: `${sentence(first.what)}: ${first.why}.`, remedy: first.remedy }
  }
  const ageMs = isRedisUp && marks !== null ? oldestMs(marks, redisMs, catalog) : null
  if (ageMs === null) {
    return {
      kind: 'wrong',
      text: 'A resource has no watermark: its first flush has not ended.',
      remedy: 'Wait some seconds. If it stays, read the log of the invalidator.',
    }
  }
  const reads = points.reduce((sum, { hits, misses, stale, bypasses }) => {
    return sum + hits + misses + stale + bypasses
  }, 0)
  const hits = points.reduce((sum, point) => sum + point.hits, 0)
  const share =
    reads === 0
      ? reports.some(({ lag }) => lag === null)
        ? 'nothing was read in the last 15 minutes'
        : 'no reader is running'
      : `${Math.round((100 * hits) / reads)} % of reads are hits`
  return {
    kind: 'right',
    text: `All changes committed until ${(ageMs / 1000).toFixed(1)} s ago are applied; ${share}.`,
    remedy: null,
  }
}

const sentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)

function showProcess(report: ProcessReport, own: string): ShownProcess {
  const { id, application, version, host, pid, startedAtMs, residentBytes, owned } = report
  const { hits, misses, stale, bypasses } = totalsOf(report)
  const reads = hits + misses + stale + bypasses
  return {
    id,
    application,
    version,
    host,
    pid,
    startedAtMs,
    residentBytes,
    owned,
    isThis: id === own,
    reads,
  }
}

function showResource(
  resource: ResourceRules,
  reports: readonly ProcessReport[],
  usage: EntryUsage | null,
): ShownResource {
  const { name, version, key } = resource
  const total = { hits: 0, misses: 0, stale: 0, loads: 0, invalidated: 0 }
  const bypasses: Record<string, number> = {}
  for (const { reads, loads, invalidated } of reports) {
    const found = reads[name]
    total.hits += found?.hits ?? 0
    total.misses += found?.misses ?? 0
    total.stale += found?.stale ?? 0
    total.loads += loads[name] ?? 0
    total.invalidated += invalidated[name] ?? 0
    for (const [reason, count] of Object.entries(found?.bypasses ?? {})) {
      bypasses[reason] = (bypasses[reason] ?? 0) + count
    }
  }
  const owner = reports.find(({ owned }) => owned.includes(name))
  return {
    name,
    version,
    key,
    usage,
    bypasses,
    ...total,
    parameters: paramsOf(resource),
    ttlMs: 'ttlMs' in resource && typeof resource.ttlMs === 'number' ? resource.ttlMs : null,
    rules: rulesOf(resource),
    owner: owner === undefined ? null : `${owner.host} (pid ${owner.pid})`,
  }
}

/** Returns the last recorded changes that invalidated an entry, the newest first. */
function changesOf(feed: ChangeFeed, { resource, bareKey: key }: ExplainedEntry): Change[] {
  return feed
    .recent()
    .map(({ change }) => change)
    .filter(
      ({ entries, flushed }) =>
        entries.some((one) => one.key === key && one.resource === resource) ||
        flushed.some((one) => one.resource === resource),
    )
    .slice(-SHOWN_CHANGES)
    .toReversed()
}
