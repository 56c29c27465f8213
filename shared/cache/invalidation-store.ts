import type { Redis } from '../redis.ts'
import { isWrongType } from '../redis-replies.ts'
import { CLOCK, createClock } from './clock.ts'
import { clockKey, entryKey, keyMatcher, resourceGlob, watermarkKey } from './key.ts'
import { paramsOf, type ResourceRules } from './resource.ts'
import {
  decodeWatermark,
  encodeWatermark,
  NOTHING_SEEN,
  DISABLED,
  type Watermark,
} from './watermark.ts'

/** What is to be done to one resource: forget these entries, and from then on say this. */
export interface Advance {
  readonly resource: ResourceRules
  /** The stored text that this owner last wrote or read; `null` when there was none. */
  readonly expected: string | null
  readonly next: Watermark
  readonly keys: ReadonlySet<string>
  /** Forget every entry instead. */
  readonly flush: boolean
  /**
   * Asked at each step of what takes many scripts: whether no entry may be read any more. The step
   * then stores that at once, and so does the last one. It must not take its answer back.
   */
  readonly isDisabled?: () => boolean
}

/**
 * Whether an advance takes many scripts. Others must not wait for it: it is to be applied beside
 * them. A flush of a resource without parameters deletes one key by name.
 */
export const takesLong = ({ resource, keys, flush }: Advance): boolean =>
  flush ? paramsOf(resource).length > 0 : keys.size > KEYS_PER_SCRIPT

export interface AdvanceReport {
  /** What is stored now, for each resource; one that had changed underneath is left out. */
  readonly stored: ReadonlyMap<string, string>
  /** How many entries there really were to forget. */
  readonly removed: ReadonlyMap<string, number>
  /** Redis' clock in milliseconds when the last of it was done; `null` when there was nothing to do. */
  readonly timeMs: number | null
}

/** The invalidator's side of Redis: entries go and the watermark moves in one step, or not at all. */
export interface InvalidationStore {
  /** Redis' clock in milliseconds. */
  time(): Promise<number>
  /** The stored text of a resource's watermark. */
  read(resource: string): Promise<string | null>
  /** The watermarks of all resources, those of other builds too; what cannot be read is left out. */
  readAll(): Promise<ReadonlyMap<string, Watermark>>
  /**
   * Calls `between` between the parts of what is too large for one script. May be called again
   * meanwhile for other resources.
   */
  apply(advances: readonly Advance[], between?: () => Promise<void>): Promise<AdvanceReport>
}

/** Keys in one script: above a millisecond of Redis' time, others wait noticeably. */
const KEYS_PER_SCRIPT = 2_000
const SCAN_COUNT = 1_000
/** How many flushes may have a step in Redis at once: each other command may wait behind so many. */
const STEPS_AT_ONCE = 2

/** Opens the ledger of one key prefix in one Redis. */
export function createInvalidationStore(redis: Redis, prefix: string): InvalidationStore {
  redis.defineCommand('cacheAdvance', { lua: ADVANCE })
  const scripted = redis as unknown as Scripted
  const hash = watermarkKey(prefix)
  const takeTurn = createTurns(STEPS_AT_ONCE)
  const clock = clockKey(prefix)
  const time = createClock(redis, prefix)

  /** One script for as many resources as fit; returns those whose watermark was as expected. */
  async function advance(steps: readonly Step[], report: MutableReport): Promise<void> {
    const keys = steps.flatMap((step) => step.keys)
    const args = steps.flatMap(({ name, expected, next, keys }) => [
      name,
      bytesOf(expected ?? ''),
      next,
      keys.length,
    ])
    const [nowMs, ...replies] = await scripted.cacheAdvance(
      2 + keys.length,
      hash,
      clock,
      ...keys,
      ...args,
    )
    report.timeMs = nowMs
    steps.forEach(({ name, next }, index) => {
      const removed = replies[index] as number
      if (removed < 0) {
        report.stored.delete(name)
        return
      }
      report.stored.set(name, next)
      report.removed.set(name, (report.removed.get(name) ?? 0) + removed)
    })
  }

  /** Applies a part: the keys go, the part number rises, the snapshot stays. */
  async function applyPart(
    { item, progress }: PartialAdvance,
    keys: readonly string[],
    report: MutableReport,
  ): Promise<boolean> {
    const before = progress.before ?? { ...item.next, ...NOTHING_APPLIED }
    const raised = encodeWatermark({ ...withDisabling(progress, before), part: ++progress.count })
    await advance(
      [{ name: item.resource.name, expected: progress.expected, next: raised, keys }],
      report,
    )
    progress.expected = report.stored.get(item.resource.name) ?? null
    return progress.expected !== null
  }

  async function applyLast(
    { item, progress }: PartialAdvance,
    report: MutableReport,
  ): Promise<void> {
    progress.isDisabled ||= item.isDisabled?.() ?? false
    const next = encodeWatermark(withDisabling(progress, item.next))
    await advance(
      [{ name: item.resource.name, expected: progress.expected, next, keys: [] }],
      report,
    )
  }

  async function applyInParts(
    item: Advance,
    report: MutableReport,
    between: () => Promise<void>,
  ): Promise<void> {
    const partial = beginPartial(item)
    for (const batch of batchesOf([...item.keys])) {
      partial.progress.isDisabled ||= item.isDisabled?.() ?? false
      if (!(await takeTurn(() => applyPart(partial, batch, report)))) return
      await between()
    }
    await applyLast(partial, report)
  }

  /** One pass over the key space for one resource. */
  async function flush(
    item: Advance,
    report: MutableReport,
    between: () => Promise<void>,
  ): Promise<void> {
    const matches = keyMatcher(prefix, item.resource)
    const glob = resourceGlob(prefix, item.resource)
    const partial = beginPartial(item)
    const { progress } = partial
    // A cursor means nothing to another server, and a restarted one may lack what was deleted.
    const connection = connectionOf(redis)
    const step = async (cursor: string): Promise<string | null> => {
      if (connectionOf(redis) !== connection) throw new ConnectionChanged()
      const [next, found] = await redis.scan(cursor, 'MATCH', glob, 'COUNT', SCAN_COUNT)
      if (connectionOf(redis) !== connection) throw new ConnectionChanged()
      const keys = found.filter((key) => matches.test(key))
      const wasDisabled = progress.isDisabled
      progress.isDisabled ||= item.isDisabled?.() ?? false
      if (keys.length === 0 && progress.isDisabled === wasDisabled) return next
      return (await applyPart(partial, keys, report)) ? next : null
    }
    let cursor = '0'
    do {
      const from = cursor
      const next = await takeTurn(() => step(from))
      if (next === null) return
      cursor = next
      await between()
    } while (cursor !== '0')
    if (connectionOf(redis) !== connection) throw new ConnectionChanged()
    await applyLast(partial, report)
  }

  return {
    time,

    read: (resource) =>
      redis
        .hgetBuffer(hash, resource)
        .then((bytes) => bytes && textOf(bytes), emptyIfWrongType(null)),

    async readAll() {
      const stored = Object.entries(await redis.hgetall(hash).catch(emptyIfWrongType({})))
      return new Map(
        stored.flatMap(([resource, text]) => {
          const mark = decodeWatermark(text)
          return mark ? [[resource, mark]] : []
        }),
      )
    },

    async apply(advances, between = () => Promise.resolve()) {
      const report: MutableReport = { stored: new Map(), removed: new Map(), timeMs: null }
      const short = advances.filter((item) => !takesLong(item))

      for (const group of groupBySize(short)) {
        await advance(
          group.map(({ resource, expected, next, keys, flush }) => ({
            name: resource.name,
            expected,
            next: encodeWatermark(next),
            keys: flush ? [entryKey(prefix, resource, {})] : [...keys],
          })),
          report,
        )
      }
      for (const item of advances) {
        if (!takesLong(item)) continue
        if (item.flush) await flush(item, report, between)
        else await applyInParts(item, report, between)
      }
      return report
    },
  }
}

/**
 * KEYS the hash of watermarks, the clock, then the entries of each resource behind each other;
 * ARGV for each resource: field, expected, next, number of entries.
 *
 * Where the watermark is not, byte for byte, what this owner knows, nothing is done: somebody else
 * owns the resource, or Redis has been taken back in time. A key that is no hash is replaced. Returns the time, then for each resource -1
 * there, else how many entries went. Entries and watermark in one script: apart, a failover between the two would leave on the
 * promoted replica a watermark that claims what it never deleted.
 */
const ADVANCE = `${CLOCK}
local replies, at = { clock(KEYS[2], 0) }, 3
if read('HLEN', KEYS[1]) == nil then redis.call('UNLINK', KEYS[1]) end
for i = 1, #ARGV, 4 do
  local field, expected, following, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local removed = -1
  if (redis.call('HGET', KEYS[1], field) or '') == expected then
    removed = 0
    for from = at, at + count - 1, 1000 do
      local to = math.min(from + 999, at + count - 1)
      removed = removed + redis.call('UNLINK', unpack(KEYS, from, to))
    end
    redis.call('HSET', KEYS[1], field, following)
  end
  replies[#replies + 1] = removed
  at = at + count
end
return replies
`

interface Scripted {
  cacheAdvance(
    numberOfKeys: number,
    ...keysAndArgs: (string | number | Buffer)[]
  ): Promise<[nowMs: number, ...number[]]>
}

/** Byte for byte, also of what is no text: else nothing could ever take its place. */
const textOf = (bytes: Buffer) => bytes.toString('latin1')
const bytesOf = (text: string) => Buffer.from(text, 'latin1')

/** A key of another type holds nothing of ours. */
function emptyIfWrongType<T>(none: T): (error: unknown) => T {
  return (error) => {
    if (isWrongType(error)) return none
    throw error
  }
}

interface Step {
  readonly name: string
  readonly expected: string | null
  readonly next: string
  readonly keys: readonly string[]
}

/** An advance that takes many scripts, and how far it is. */
interface PartialAdvance {
  readonly item: Advance
  readonly progress: Progress
}

interface Progress {
  expected: string | null
  readonly before: Watermark | null
  count: number
  isDisabled: boolean
}

function beginPartial(item: Advance): PartialAdvance {
  const before = decodeWatermark(item.expected)
  const count = before?.part ?? 0
  return { item, progress: { expected: item.expected, before, count, isDisabled: false } }
}

const withDisabling = ({ isDisabled }: Progress, mark: Watermark): Watermark =>
  isDisabled ? { ...mark, keyVersion: DISABLED } : mark

/** The connection was replaced in the middle of a flush: it has to begin again. */
class ConnectionChanged extends Error {
  override readonly name = 'ConnectionChanged'
  constructor() {
    super('the connection to Redis changed during a flush')
  }
}

/** Counts the connections of a client that have ended. */
function connectionOf(redis: Redis): number {
  const counted = connections.get(redis)
  if (counted) return counted.ended
  const count = { ended: 0 }
  connections.set(redis, count)
  redis.on('close', () => count.ended++)
  return count.ended
}
const connections = new WeakMap<Redis, { ended: number }>()

/** Runs work in the order in which it came, so much of it at once. */
function createTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (work) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}

interface MutableReport {
  readonly stored: Map<string, string>
  readonly removed: Map<string, number>
  timeMs: number | null
}

const NOTHING_APPLIED = { snapshot: NOTHING_SEEN, asOfMs: 0 } as const

function* batchesOf(keys: readonly string[]): Iterable<readonly string[]> {
  for (let from = 0; from < keys.length; from += KEYS_PER_SCRIPT) {
    yield keys.slice(from, from + KEYS_PER_SCRIPT)
  }
}

/** Groups resources so that no script carries too many keys. */
function* groupBySize(items: readonly Advance[]): Iterable<readonly Advance[]> {
  let group: Advance[] = []
  let size = 0
  for (const item of items) {
    if (group.length > 0 && size + item.keys.size > KEYS_PER_SCRIPT) {
      yield group
      group = []
      size = 0
    }
    group.push(item)
    size += item.keys.size
  }
  if (group.length > 0) yield group
}
