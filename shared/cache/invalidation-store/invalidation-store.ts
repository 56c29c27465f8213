import { createGathering, type Redis } from '../redis/redis.ts'
import { isClusterError, isWrongType } from '../redis/replies.ts'
import { CLOCK, createClock } from '../redis/clock.ts'
import { clockKey, entryKey, keyMatcher, resourceGlob, watermarkKey } from '../definition/key.ts'
import { paramsOf, type ResourceRules } from '../definition/resource.ts'
import {
  decodeWatermark,
  encodeWatermark,
  NOTHING_SEEN,
  DISABLED,
  sharedPartOf,
  type Watermark,
} from '../freshness/watermark.ts'

/** Update of one resource: delete these entries and store this watermark. */
export interface Advance {
  readonly resource: ResourceRules
  /** Stored text that this owner last wrote or read; `null` if there was none. */
  readonly expected: string | null
  readonly next: Watermark
  readonly keys: ReadonlySet<string>
  /** Delete every entry of the resource instead. */
  readonly flush: boolean
  /**
   * Called at each step of a pass. Returns true once the resource is disabled, and must then stay true:
   * that step and the last one store `DISABLED`.
   */
  readonly isDisabled?: () => boolean
}

/**
 * Returns whether an advance is a pass: it takes many scripts and runs beside others, which must not wait
 * for it. A flush of a resource without parameters is short: it deletes one key by name.
 */
export const takesLong = ({ resource, keys, flush }: Advance): boolean =>
  flush ? paramsOf(resource).length > 0 : keys.size > KEYS_PER_SCRIPT

export interface AdvanceReport {
  /** Stored text of each resource. A resource whose watermark had changed is omitted. */
  readonly stored: ReadonlyMap<string, string>
  /** Number of deleted entries of each resource. */
  readonly removed: ReadonlyMap<string, number>
  /** Clock's time of the last script, in milliseconds; `null` if no script ran. */
  readonly timeMs: number | null
}

/**
 * Redis commands of the invalidator. Entries are deleted and the watermark advances in one step, or
 * not at all.
 */
export interface InvalidationStore {
  /** Returns the clock's time, in milliseconds. */
  time(): Promise<number>
  /** Returns the stored text of a resource's watermark. */
  read(resource: string): Promise<string | null>
  /**
   * Returns the watermarks of all resources, including those of other builds. Omits unreadable ones.
   */
  readAll(): Promise<ReadonlyMap<string, Watermark>>
  /**
   * Applies advances. Awaits `between` between the scripts of an advance that needs several. May be
   * called again meanwhile for other resources.
   */
  apply(advances: readonly Advance[], between?: () => Promise<void>): Promise<AdvanceReport>
}

/** Keys in one script. A script above one millisecond delays other clients noticeably. */
const KEYS_PER_SCRIPT = 2_000
const SCAN_COUNT = 1_000
/** Steps of passes in Redis at once: any other command may wait behind this many. */
const STEPS_AT_ONCE = 2

/**
 * Creates the invalidation store of one key prefix in one Redis. `slot` is the slot of the prefix if it
 * is that of a bucket.
 *
 * While a slot migrates, some entries are on another server already. Redis rejects a script that names one
 * of them, since it finds no such key. The scripts of a pass may name none of these, so in a cluster they
 * also name a key that never exists: they fail while the slot migrates, and the pass starts again.
 */
export function createInvalidationStore(
  redis: Redis,
  prefix: string,
  slot?: number,
): InvalidationStore {
  redis.defineCommand('cacheAdvance', { lua: ADVANCE })
  redis.defineCommand('cacheList', { lua: LIST, numberOfKeys: 3 })
  const scripted = redis as unknown as Scripted
  const hash = watermarkKey(prefix)
  const takeTurn = turnsOf(redis)
  /** The buckets of a server are advanced in one write, which is most of the cost of many short scripts. */
  const gather = slot === undefined ? null : gatheringOf(redis)
  /** Never exists. */
  const absentKeys = slot === undefined ? [] : [`${prefix}/absent`]
  const clock = clockKey(prefix)
  const time = createClock(redis, prefix)

  /** Runs one script for several resources and adds the results to `report`. */
  async function advance(
    steps: readonly Step[],
    report: MutableReport,
    otherKeys: readonly string[] = [],
  ): Promise<void> {
    const { args, moved, others } = encodeSteps(steps)
    const keys = others.flatMap((step) => step.keys)
    gather?.()
    const [nowMs, refused, ...removed] = await scripted.cacheAdvance(
      2 + keys.length + otherKeys.length,
      hash,
      clock,
      ...keys,
      ...otherKeys,
      ...args,
    )
    report.timeMs = nowMs
    const record = ({ name, next }: Step, count: number) => {
      if (count < 0) {
        report.stored.delete(name)
        return
      }
      report.stored.set(name, next)
      report.removed.set(name, (report.removed.get(name) ?? 0) + count)
    }
    for (const step of moved) record(step, refused.includes(step.name) ? -1 : 0)
    others.forEach((step, index) => record(step, removed[index] ?? -1))
  }

  /** Applies a part: deletes the keys and raises the part number, but keeps the snapshot. */
  async function applyPart(
    { item, progress }: PartialAdvance,
    keys: readonly string[],
    report: MutableReport,
  ): Promise<boolean> {
    const before = progress.before ?? { ...item.next, ...FIRST_PASS }
    const raised = encodeWatermark({ ...withDisabling(progress, before), part: ++progress.count })
    await advance(
      [{ name: item.resource.name, expected: progress.expected, next: raised, keys }],
      report,
      absentKeys,
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
      absentKeys,
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

  /** Deletes the entries of one resource in one pass over the key space. */
  async function flush(
    item: Advance,
    report: MutableReport,
    between: () => Promise<void>,
  ): Promise<void> {
    const matches = keyMatcher(prefix, item.resource)
    const partial = beginPartial(item)
    const { progress } = partial
    // A cursor is valid on one server only, and a restart may have restored deleted entries.
    const connection = endedConnectionsOf(redis)
    const checkConnection = () => {
      if (endedConnectionsOf(redis) !== connection) throw new ConnectionChanged()
    }
    const remove = async (found: readonly string[]): Promise<boolean> => {
      checkConnection()
      const keys = found.filter((key) => matches.test(key))
      const wasDisabled = progress.isDisabled
      progress.isDisabled ||= item.isDisabled?.() ?? false
      const isNothing = keys.length === 0 && progress.isDisabled === wasDisabled
      // In a cluster each step proves that the slot does not migrate.
      return (isNothing && slot === undefined) || applyPart(partial, keys, report)
    }
    const listed = slot === undefined ? null : await takeTurn(() => list(slot))
    if (listed !== null) {
      for (const batch of batchesOf(listed.filter((key) => matches.test(key)))) {
        if (!(await takeTurn(() => remove(batch)))) return
        await between()
      }
    } else {
      const glob = resourceGlob(prefix, item.resource)
      let cursor = '0'
      do {
        const from = cursor
        const next = await takeTurn(async () => {
          checkConnection()
          const [following, found] = await redis.scan(from, 'MATCH', glob, 'COUNT', SCAN_COUNT)
          return (await remove(found)) ? following : null
        })
        if (next === null) return
        cursor = next
        await between()
      } while (cursor !== '0')
    }
    checkConnection()
    await applyLast(partial, report)
  }

  /**
   * Returns all keys of a slot as of one moment; `null` if the server has no such command. A key that
   * appears later is a lease whose load begins later.
   */
  async function list(ofSlot: number): Promise<readonly string[] | null> {
    try {
      return await scripted.cacheList(hash, clock, ...(absentKeys as [string]), ofSlot)
    } catch (error) {
      if (isClusterError(error)) throw error
      if (error instanceof Error && error.name === 'ReplyError') return null
      throw error
    }
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
 * KEYS: watermark hash, clock, then the entries of each other resource one after another. ARGV: the shared
 * part of the expected texts and that of the next ones; a line for each resource whose shared part alone
 * changes; then for each other resource: field, expected, next, number of entries. See `encodeSteps`.
 *
 * If the stored watermark differs from the expected one in any byte, nothing is done: another worker
 * owns the resource, or Redis was restored to an earlier state. A key that is not a hash is replaced.
 * Returns the time and the fields of lines for which nothing was done. Then follows for each other
 * resource the number of deleted entries, or -1 if nothing was done.
 *
 * One script deletes the entries and stores the watermark. If there were two, a failover between them
 * could promote a replica whose watermark claims deletions that it never received.
 */
const ADVANCE = `${CLOCK}
local refused, stored, changes, at = {}, {}, {}, 3
local replies = { clock(KEYS[2], 0), refused }
local all = read('HGETALL', KEYS[1])
if all == nil then redis.call('UNLINK', KEYS[1]) end
for i = 1, #(all or {}), 2 do stored[all[i]] = all[i + 1] end
local function isExpected(field, text) return (stored[field] or '') == text end
local function change(field, text)
  changes[#changes + 1] = field
  changes[#changes + 1] = text
end
for field, rest in string.gmatch(ARGV[3], '([^\\n ]+)([^\\n]*)') do
  if isExpected(field, ARGV[1] .. rest) then
    change(field, ARGV[2] .. rest)
  else
    refused[#refused + 1] = field
  end
end
for i = 4, #ARGV, 4 do
  local field, expected, following, count = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local removed = -1
  if isExpected(field, expected) then
    removed = 0
    for from = at, at + count - 1, 1000 do
      local to = math.min(from + 999, at + count - 1)
      removed = removed + redis.call('UNLINK', unpack(KEYS, from, to))
    end
    change(field, following)
  end
  replies[#replies + 1] = removed
  at = at + count
end
if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end
return replies
`

/**
 * Encodes steps as arguments of `ADVANCE`. Most steps of a window delete nothing and change only the part of
 * the watermark that all of them share. Each of these is a line with a name and the rest of the watermark.
 */
function encodeSteps(steps: readonly Step[]) {
  const [first] = steps
  const before = sharedPartOf(first?.expected ?? '')
  const after = sharedPartOf(first?.next ?? '')
  const lines: string[] = []
  const moved: Step[] = []
  const others: Step[] = []
  for (const step of steps) {
    const { name, expected, next, keys } = step
    const rest = next.slice(after.length)
    const isLine =
      keys.length === 0 &&
      before !== '' &&
      expected === before + rest &&
      next.startsWith(after) &&
      !/\s/.test(name)
    if (isLine) {
      lines.push(name + rest)
      moved.push(step)
    } else others.push(step)
  }
  const args = others.flatMap(({ name, expected, next, keys }) => [
    name,
    bytesOf(expected ?? ''),
    next,
    keys.length,
  ])
  return { args: [bytesOf(before), after, lines.join('\n'), ...args], moved, others }
}

/** KEYS: watermark hash, clock, a key that never exists. ARGV: the slot. Returns its keys. */
const LIST = `
local count = redis.call('CLUSTER', 'COUNTKEYSINSLOT', ARGV[1])
return redis.call('CLUSTER', 'GETKEYSINSLOT', ARGV[1], count)
`

interface Scripted {
  cacheList(hash: string, clock: string, absent: string, slot: number): Promise<string[]>
  cacheAdvance(
    numberOfKeys: number,
    ...keysAndArgs: (string | number | Buffer)[]
  ): Promise<[nowMs: number, refused: readonly string[], ...removed: number[]]>
}

/**
 * Latin-1 keeps every byte, also of values that are not text. Otherwise these could never be
 * replaced.
 */
const textOf = (bytes: Buffer) => bytes.toString('latin1')
const bytesOf = (text: string) =>
  // Usually ASCII. A command without buffers is assembled faster.
  Buffer.byteLength(text) === text.length ? text : Buffer.from(text, 'latin1')

/** Treats a key of another type as empty. */
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

/** A pass and its progress. */
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

/** Thrown if the connection was replaced during a flush, which must then start again. */
class ConnectionChanged extends Error {
  override readonly name = 'ConnectionChanged'
  constructor() {
    super('the connection to Redis changed during a flush')
  }
}

/** Returns the number of ended connections of a client: a change means that it has reconnected. */
function endedConnectionsOf(redis: Redis): number {
  const counted = connections.get(redis)
  if (counted) return counted.ended
  const count = { ended: 0 }
  connections.set(redis, count)
  redis.on('close', () => count.ended++)
  return count.ended
}
const connections = new WeakMap<Redis, { ended: number }>()

/** Returns the gathering of a connection, which its buckets share. */
function gatheringOf(redis: Redis): ReturnType<typeof createGathering> {
  const gathering = gatheringByConnection.get(redis) ?? createGathering(redis, () => {})
  gatheringByConnection.set(redis, gathering)
  return gathering
}
const gatheringByConnection = new WeakMap<Redis, ReturnType<typeof createGathering>>()

/** Returns the turns of a connection, which its buckets share. */
function turnsOf(redis: Redis): ReturnType<typeof createTurns> {
  const turns = turnsByConnection.get(redis) ?? createTurns(STEPS_AT_ONCE)
  turnsByConnection.set(redis, turns)
  return turns
}
const turnsByConnection = new WeakMap<Redis, ReturnType<typeof createTurns>>()

/** Returns a function that runs work in order of arrival, `atOnce` at a time. */
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

const FIRST_PASS = { snapshot: NOTHING_SEEN, asOfMs: 0 } as const

function* batchesOf(keys: readonly string[]): Iterable<readonly string[]> {
  for (let from = 0; from < keys.length; from += KEYS_PER_SCRIPT) {
    yield keys.slice(from, from + KEYS_PER_SCRIPT)
  }
}

/** Groups resources so that no script has too many keys. */
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
