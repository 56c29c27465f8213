import { paramsOf, type Params, type ResourceRules } from './resource.ts'

type KeySpace = Pick<ResourceRules, 'key' | 'version'>

/**
 * Returns the key of an entry, such as `app/v1/staff:profile:42`: prefix, version of the resource,
 * pattern with its parameters.
 *
 * Readers build keys from requests with this function, the invalidator builds them from rows with
 * `keyOfRow`. Both return the same keys.
 * Values are encoded, so that no two entries have the same key and every key has the form of its pattern.
 * Other libraries join prefix, version and key by colons (Django: `prefix:version:key`). A prefix here
 * holds neither a slash nor a colon, so no such key equals one of these.
 */
export function entryKey(prefix: string, { key, version }: KeySpace, params: Params): string {
  let filled = start(prefix, version)
  for (const [i, part] of partsOf(key).entries()) {
    // Names of parameters and the text around them alternate.
    if (i % 2 === 0) {
      filled += part
      continue
    }
    const value = params[part]
    if (value === undefined) throw new Error(`no parameter ${part} for ${key}`)
    filled += encodeParam(value)
  }
  return filled
}

/**
 * Returns a function that builds keys from rows, as `entryKey` does from parameters; for a row with a
 * null in one of them it returns null. `positions` are the places of the parameters in the rows.
 */
export function keyOfRow(
  prefix: string,
  { key, version }: KeySpace,
  positions: Readonly<Record<string, number>>,
): (row: readonly (string | null)[]) => string | null {
  const [first = '', ...parts] = partsOf(key)
  const beginning = `${start(prefix, version)}${first}`
  const params: { readonly at: number; readonly following: string }[] = []
  for (let i = 0; i < parts.length; i += 2) {
    const at = positions[parts[i] as string]
    if (at === undefined) throw new Error(`no position of ${parts[i]} for ${key}`)
    params.push({ at, following: parts[i + 1] as string })
  }
  return (row) => {
    let filled = beginning
    for (const { at, following } of params) {
      const value = row[at]
      if (value == null) return null
      filled += encodeParam(value) + following
    }
    return filled
  }
}

/** Returns the text and the names of the parameters of a pattern, alternately. */
function partsOf(pattern: string): readonly string[] {
  let parts = partsOfPatterns.get(pattern)
  if (parts === undefined) {
    parts = pattern.split(/\{(\w+)\}/)
    partsOfPatterns.set(pattern, parts)
  }
  return parts
}
/** As many as there are resources: patterns are constants of the program. */
const partsOfPatterns = new Map<string, readonly string[]>()

/** Encodes a value: in a key, a parameter is not empty and holds no colon. */
function encodeParam(value: string): string {
  if (value === '') return EMPTY
  return /[%:]/.test(value) ? value.replaceAll('%', '%25').replaceAll(':', '%3A') : value
}

const decodeParam = (text: string): string =>
  text === EMPTY ? '' : text.replaceAll('%3A', ':').replaceAll('%25', '%')

/** The encoded empty value. No other value becomes a percent sign alone. */
const EMPTY = '%'

/** Returns a pattern that matches exactly the keys of a resource: encoded values hold no colon. */
export function keyMatcher(prefix: string, { key, version }: KeySpace): RegExp {
  const pattern = key
    .split(/\{\w+\}/)
    .map(escape)
    .join('[^:]+')
  return new RegExp(`^${escape(start(prefix, version))}${pattern}$`)
}

/**
 * Returns a glob for SCAN that matches every key of a resource, and few others: `*` also matches
 * colons.
 */
export function resourceGlob(prefix: string, resource: KeySpace): string {
  const any = '\0'
  const params = Object.fromEntries(paramsOf(resource).map((name) => [name, any]))
  const key = entryKey(prefix, resource, params)
  return key.replaceAll(/[*?[\]\\]/g, String.raw`\$&`).replaceAll(any, '*')
}

/** Returns a function that extracts the parameters of a resource's keys; `null` for any other key. */
export function keyParser(
  prefix: string,
  { key, version }: KeySpace,
): (text: string) => Params | null {
  const parts = key.split(':').map((part) => part.replace(/^\{(\w+)\}$/, '(?<$1>[^:]+)'))
  const pattern = new RegExp(`^${escape(start(prefix, version))}${parts.join(':')}$`)
  return (text) => {
    const match = pattern.exec(text)
    return (
      match &&
      Object.fromEntries(
        Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeParam(value)]),
      )
    )
  }
}

/** Returns the full key of a key that a user may write without prefix and version. */
export const fullKey = (prefix: string, { version }: KeySpace, text: string): string =>
  text.startsWith(`${prefix}/`) ? text : `${start(prefix, version)}${text}`

/** Returns a key, also one in its bucket, without its prefix and version; any other text unchanged. */
export function bareKey(prefix: string, text: string): string {
  const match = /^(?:\d+\/\{\d+\}\/)?v\d+\/(.*)$/s.exec(
    text.startsWith(`${prefix}/`) ? text.slice(prefix.length + 1) : '',
  )
  return match?.[1] ?? text
}

/** Returns a glob for SCAN that matches every key under a prefix. */
export const keyGlob = (prefix: string) => `${prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}/*`

/** Returns the key of the hash that holds the watermark of every resource. */
export const watermarkKey = (prefix: string) => `${prefix}/watermark`

/** Returns the key of the clock, which measures the age of entries and watermarks. */
export const clockKey = (prefix: string) => `${prefix}/clock`

/** Returns the key of the hash that lists the running processes. */
export const processesKey = (prefix: string) => `${prefix}/processes`

/** Returns the key of what one process reports about itself. It expires when the process has ended. */
export const processKey = (prefix: string, id: string) => `${prefix}/process/${id}`

const start = (prefix: string, version: number) => `${prefix}/v${version}/`

/** Returns the key of the identity of this Redis, which invalidators use. */
export const identityKey = (prefix: string) => `${prefix}/identity`

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
