import {
  ageMsOf,
  bareKey,
  type CachedValue,
  createInvalidationStore,
  decodeValue,
  decodeWatermark,
  fullKey,
  isLookup,
  isPlausible,
  keyParser,
  plainLengthOf,
  type Redis,
  type ResourceRules,
  withoutBucket,
} from '../../shared/cache/index.ts'

/** A cached entry that a response is built from. */
export interface EntryPart {
  readonly resource: string
  readonly key: string
  /** The requested variant; undefined means all variants of the key. */
  readonly variant?: string
}

/** An entry as it is in Redis, and what makes it stale. */
export interface ExplainedEntry {
  readonly resource: string
  readonly key: string
  /** Key without prefix and version. */
  readonly bareKey: string
  /** Type of a key that another program wrote. */
  readonly foreignType: string | null
  readonly variants: readonly ExplainedVariant[]
  /** Age of the watermark in ms; null if there is none, infinite if it is in the future. */
  readonly watermarkAgeMs: number | null
  readonly rules: readonly ExplainedRule[]
}

export interface ExplainedVariant {
  readonly name: string
  readonly state:
    | 'cached'
    | 'expired'
    | 'not cached'
    | 'unreadable'
    | 'another incarnation'
    | 'impossible timestamps'
    | 'too large'
  readonly cachedForMs?: number
  readonly freshForMs?: number
  /** Bytes of the response; null if the entity does not exist. */
  readonly bytes?: number | null
  /** Bytes in Redis, if the response is compressed. */
  readonly storedBytes?: number
  readonly encoding?: string
}

export interface ExplainedRule {
  readonly table: string
  readonly columns: readonly string[]
  /** Columns from which entries are looked up. */
  readonly lookedUpFrom: readonly string[] | null
  /** Parameter of the key and the column that holds it. */
  readonly where: readonly { readonly parameter: string; readonly column: string }[]
}

/** Returns the entry that a text names: a key, with or without prefix, bucket and version. */
export function entryOfKey(
  catalog: readonly ResourceRules[],
  prefix: string,
  text: string,
): EntryPart | null {
  const named = withoutBucket(prefix, text)
  for (const resource of catalog) {
    const key = fullKey(prefix, resource, named)
    if (keyParser(prefix, resource)(key) !== null) return { resource: resource.name, key }
  }
  return null
}

/** Whether a text that names no entry may be a URL. Without prefix and version, a key contains no slash. */
export const isUrl = (prefix: string, text: string): boolean => bareKey(prefix, text).includes('/')

/** Reads an entry from Redis. @throws Error if the resource is not in the catalog. */
export async function explainEntry(
  redis: Redis,
  prefix: string,
  catalog: readonly ResourceRules[],
  { resource: name, key, variant }: EntryPart,
): Promise<ExplainedEntry> {
  const resource = catalog.find((one) => one.name === name)
  if (resource === undefined) throw new Error(`resource ${name} does not exist`)
  const invalidationStore = createInvalidationStore(redis, prefix)
  const nowMs = await invalidationStore.time()
  const mark = decodeWatermark(await invalidationStore.read(name))
  const type = await redis.type(key)
  const isForeign = type !== 'hash' && type !== 'none'
  const fields = isForeign ? [] : variant === undefined ? await redis.hkeys(key) : [variant]
  const variants = await Promise.all(
    fields
      // Leases are fields too.
      .filter((field) => !field.startsWith('~'))
      .map(async (field) => {
        const bytes = await redis.hgetBuffer(key, field)
        const cached = decodeValue(bytes)
        if (cached === null) {
          return { name: field, state: bytes === null ? 'not cached' : 'unreadable' } as const
        }
        return { name: field, ...explainValue(cached, mark?.incarnation, nowMs) }
      }),
  )
  return {
    resource: name,
    key,
    bareKey: bareKey(prefix, key),
    foreignType: isForeign ? type : null,
    variants,
    watermarkAgeMs: mark === null ? null : ageMsOf(mark, nowMs),
    rules: rulesOf(resource),
  }
}

/** Returns the rules of a resource as data. */
export const rulesOf = ({ staleWhen }: ResourceRules): readonly ExplainedRule[] =>
  staleWhen.map((rule) => ({
    table: rule.table,
    columns: rule.watch,
    lookedUpFrom: isLookup(rule) ? rule.from : null,
    where: isLookup(rule)
      ? []
      : Object.entries(rule.key).map(([parameter, column]) => ({ parameter, column })),
  }))

function explainValue(
  cached: CachedValue,
  incarnation: string | undefined,
  nowMs: number,
): Omit<ExplainedVariant, 'name'> {
  const cachedForMs = nowMs - cached.leasedAtMs
  if (incarnation !== undefined && cached.incarnation !== incarnation.replaceAll('-', '')) {
    return { state: 'another incarnation', cachedForMs }
  }
  if (!isPlausible(cached, Infinity, nowMs)) return { state: 'impossible timestamps' }
  if (cached.body === 'too large') return { state: 'too large' }
  const freshForMs = cached.freshUntilMs - nowMs
  return {
    state: freshForMs > 0 ? 'cached' : 'expired',
    cachedForMs,
    freshForMs,
    bytes: cached.body === null ? null : plainLengthOf(cached),
    ...(cached.body !== null &&
      cached.encoding !== undefined && {
        storedBytes: cached.body.length,
        encoding: cached.encoding,
      }),
  }
}

/** Formats an entry for the terminal. */
export function describeEntry(entry: ExplainedEntry): readonly string[] {
  const { resource, key, foreignType, variants, watermarkAgeMs, rules } = entry
  if (foreignType !== null) {
    return [
      '',
      `${resource}  ${key}`,
      `  unreadable: another program wrote a ${foreignType} to this key`,
    ]
  }
  return [
    '',
    `${resource}  ${key}`,
    ...(variants.length === 0
      ? ['  not cached']
      : variants.map((variant) => `  ${variant.name}: ${describeVariant(variant)}`)),
    watermarkAgeMs === null
      ? '  no watermark: no invalidator uses this Redis, so entries expire after MAX_STALENESS_MS'
      : watermarkAgeMs === Infinity
        ? '  the watermark is in the future, so it is ignored'
        : `  all changes up to ${seconds(watermarkAgeMs)} ago have been applied`,
    '  becomes stale when one of these columns changes',
    ...rules.map(describeRule),
  ]
}

function describeRule({ table, columns, lookedUpFrom, where }: ExplainedRule): string {
  const watched = `    ${table} (${columns.join(', ')})`
  if (lookedUpFrom !== null) return `${watched}, looked up from ${lookedUpFrom.join(', ')}`
  const conditions = where.map(({ parameter, column }) => `${column} is {${parameter}}`)
  return conditions.length === 0 ? watched : `${watched} where ${conditions.join(' and ')}`
}

function describeVariant(variant: ExplainedVariant): string {
  const { state, cachedForMs = 0, freshForMs = 0, bytes, storedBytes, encoding } = variant
  const since = `cached ${seconds(cachedForMs)} ago`
  switch (state) {
    case 'not cached':
      return state
    case 'unreadable':
      return 'unreadable, not used'
    case 'another incarnation':
      return `${since}, in another incarnation of the database: not used`
    case 'impossible timestamps':
      return 'with impossible timestamps: not used'
    case 'too large':
      return 'too large to be cached (CACHE_MAX_VALUE_BYTES)'
    default: {
      const stored = encoding === undefined ? '' : ` (${storedBytes} as ${encoding})`
      const size = bytes === null ? 'does not exist' : `${bytes} bytes${stored}`
      const left = state === 'cached' ? `fresh for ${seconds(freshForMs)} more` : 'expired'
      return `${size}, ${since}, ${left}`
    }
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`
