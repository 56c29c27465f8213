import type { Redis } from '../redis.ts'
import { keyMatcher, watermarkKey } from './key.ts'
import type { ResourceRules } from './resource.ts'
import { decodeWatermark, encodeWatermark, NOTHING_SEEN, type Watermark } from './watermark.ts'

/** What is to be done to one resource: forget these entries, and from then on say this. */
export interface Advance {
  readonly resource: ResourceRules
  /** The stored text that this owner last wrote or read; `null` when there was none. */
  readonly expected: string | null
  readonly next: Watermark
  readonly keys: ReadonlySet<string>
  /** Forget every entry instead. */
  readonly flush: boolean
}

export interface AdvanceReport {
  /** What is stored now, for each resource; one that had changed underneath is left out. */
  readonly stored: ReadonlyMap<string, string>
  /** How many entries there really were to forget. */
  readonly removed: ReadonlyMap<string, number>
  /** Redis' clock in milliseconds when the last of it was done; `null` when there was nothing to do. */
  readonly timeMs: number | null
}

/** The invalidator's side of Redis: entries go and the watermark moves in one step, or not at all. */
export interface Ledger {
  /** Redis' clock in milliseconds. */
  time(): Promise<number>
  /** The stored text of a resource's watermark. */
  read(resource: string): Promise<string | null>
  /** The watermarks of all resources, those of other builds too; what cannot be read is left out. */
  readAll(): Promise<ReadonlyMap<string, Watermark>>
  /** Calls `between` between the parts of what is too large for one script. */
  apply(advances: readonly Advance[], between?: () => Promise<void>): Promise<AdvanceReport>
}

/** Keys in one script: above a millisecond of Redis' time, others wait noticeably. */
const KEYS_PER_SCRIPT = 2_000
const SCAN_COUNT = 1_000

/** Opens the ledger of one key prefix in one Redis. */
export function createLedger(redis: Redis, prefix: string): Ledger {
  redis.defineCommand('spmsAdvance', { lua: ADVANCE })
  const scripted = redis as unknown as Scripted
  const hash = watermarkKey(prefix)

  /** One script for as many resources as fit; returns those whose watermark was as expected. */
  async function advance(steps: readonly Step[], report: MutableReport): Promise<void> {
    const keys = steps.flatMap((step) => step.keys)
    const args = steps.flatMap(({ name, expected, next, keys }) => [
      name,
      expected ?? '',
      next,
      keys.length,
    ])
    const [time, ...replies] = await scripted.spmsAdvance(1 + keys.length, hash, ...keys, ...args)
    report.timeMs = toMs(time)
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

  /** Applies a part of a large window: the keys go, the part number rises, the snapshot stays. */
  async function applyPart(
    { resource, next }: Advance,
    keys: readonly string[],
    parts: Parts,
    report: MutableReport,
  ): Promise<boolean> {
    const before = parts.before ?? { ...next, ...NOTHING_APPLIED }
    const raised = encodeWatermark({ ...before, part: ++parts.count })
    await advance([{ name: resource.name, expected: parts.expected, next: raised, keys }], report)
    parts.expected = report.stored.get(resource.name) ?? null
    return parts.expected !== null
  }

  async function applyInParts(
    item: Advance,
    batches: Iterable<readonly string[]>,
    report: MutableReport,
    between: () => Promise<void>,
  ): Promise<void> {
    const before = decodeWatermark(item.expected)
    const parts: Parts = { expected: item.expected, before, count: before?.part ?? 0 }
    for (const batch of batches) {
      if (!(await applyPart(item, batch, parts, report))) return
      await between()
    }
    const last = { name: item.resource.name, next: encodeWatermark(item.next), keys: [] }
    await advance([{ ...last, expected: parts.expected }], report)
  }

  /** One pass over the key space for all resources that are flushed. */
  async function flush(
    items: readonly Advance[],
    report: MutableReport,
    between: () => Promise<void>,
  ): Promise<void> {
    const open = items.map((item) => {
      const before = decodeWatermark(item.expected)
      const parts: Parts = { expected: item.expected, before, count: before?.part ?? 0 }
      return { item, parts, matches: keyMatcher(prefix, item.resource), lost: false }
    })
    let cursor = '0'
    do {
      const [next, found] = await redis.scan(
        cursor,
        'MATCH',
        `${globEscape(prefix)}:*`,
        'COUNT',
        SCAN_COUNT,
      )
      cursor = next
      for (const one of open) {
        const keys = found.filter((key) => one.matches.test(key))
        if (keys.length === 0 || one.lost) continue
        one.lost = !(await applyPart(one.item, keys, one.parts, report))
      }
      await between()
    } while (cursor !== '0')
    await advance(
      open
        .filter(({ lost }) => !lost)
        .map(({ item, parts }) => ({
          name: item.resource.name,
          expected: parts.expected,
          next: encodeWatermark(item.next),
          keys: [],
        })),
      report,
    )
  }

  return {
    async time() {
      return toMs(await redis.time())
    },

    read: (resource) => redis.hget(hash, resource),

    async readAll() {
      const stored = Object.entries(await redis.hgetall(hash))
      return new Map(
        stored.flatMap(([resource, text]) => {
          const mark = decodeWatermark(text)
          return mark ? [[resource, mark]] : []
        }),
      )
    },

    async apply(advances, between = () => Promise.resolve()) {
      const report: MutableReport = { stored: new Map(), removed: new Map(), timeMs: null }
      const flushed = advances.filter((item) => item.flush)
      const named = advances.filter((item) => !item.flush)
      const large = named.filter(({ keys }) => keys.size > KEYS_PER_SCRIPT)
      const small = named.filter(({ keys }) => keys.size <= KEYS_PER_SCRIPT)

      for (const group of packed(small)) {
        await advance(
          group.map(({ resource, expected, next, keys }) => ({
            name: resource.name,
            expected,
            next: encodeWatermark(next),
            keys: [...keys],
          })),
          report,
        )
      }
      for (const item of large) {
        await applyInParts(item, batchesOf([...item.keys]), report, between)
      }
      if (flushed.length > 0) await flush(flushed, report, between)
      return report
    },
  }
}

/**
 * KEYS the hash of watermarks, then the entries of each resource behind each other;
 * ARGV for each resource: field, expected, next, number of entries.
 *
 * Where the watermark is not, byte for byte, what this owner knows, nothing is done: somebody else
 * owns the resource, or Redis has been taken back in time. Returns the time, then for each resource -1
 * there, else how many entries went. Entries and watermark in one script: apart, a failover between the two would leave on the
 * promoted replica a watermark that claims what it never deleted.
 */
const ADVANCE = `
local replies, at = { redis.call('TIME') }, 2
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
  spmsAdvance(
    numberOfKeys: number,
    ...keysAndArgs: (string | number)[]
  ): Promise<[RedisTime, ...number[]]>
}

/** Seconds, and microseconds within the second. */
type RedisTime = readonly (string | number)[]

const toMs = ([seconds, micros]: RedisTime) =>
  Number(seconds) * 1000 + Math.floor(Number(micros) / 1000)

interface Step {
  readonly name: string
  readonly expected: string | null
  readonly next: string
  readonly keys: readonly string[]
}

interface Parts {
  expected: string | null
  readonly before: Watermark | null
  count: number
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
function* packed(items: readonly Advance[]): Iterable<readonly Advance[]> {
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

const globEscape = (text: string) => text.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)
