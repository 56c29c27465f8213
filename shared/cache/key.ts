import { paramsOf, type Params, type ResourceRules } from './resource.ts'

type KeySpace = Pick<ResourceRules, 'key' | 'version'>

/**
 * `spms-api/v1/staff:profile:42`: prefix, version of the resource, pattern with its parameters.
 *
 * Readers build keys from requests, the invalidator builds them from rows. They meet only here.
 * Libraries join prefix, version and key by colons (Django: `prefix:version:key`), and a prefix holds
 * neither a slash nor a colon: so no such key equals one of these.
 */
export function entryKey(prefix: string, { key, version }: KeySpace, params: Params): string {
  const filled = key.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    if (value === undefined) throw new Error(`no parameter ${name} for ${key}`)
    return value
  })
  return `${start(prefix, version)}${filled}`
}

/** Matches every key of a resource under a prefix, and nothing else: parameters hold no colon. */
export function keyMatcher(prefix: string, { key, version }: KeySpace): RegExp {
  const pattern = key
    .split(/\{\w+\}/)
    .map(escape)
    .join('[^:]+')
  return new RegExp(`^${escape(start(prefix, version))}${pattern}$`)
}

/** A glob for SCAN that matches every key of a resource, and few others: `*` also matches colons. */
export function resourceGlob(prefix: string, resource: KeySpace): string {
  const any = '\0'
  const params = Object.fromEntries(paramsOf(resource).map((name) => [name, any]))
  const key = entryKey(prefix, resource, params)
  return key.replaceAll(/[*?[\]\\]/g, String.raw`\$&`).replaceAll(any, '*')
}

/** Finds the parameters in a resource's keys; `null` in any other key. */
export function keyParser(
  prefix: string,
  { key, version }: KeySpace,
): (text: string) => Params | null {
  const parts = key.split(':').map((part) => part.replace(/^\{(\w+)\}$/, '(?<$1>[^:]+)'))
  const pattern = new RegExp(`^${escape(start(prefix, version))}${parts.join(':')}$`)
  return (text) => {
    const match = pattern.exec(text)
    return match && { ...match.groups }
  }
}

/** The whole key of what a user names, who may leave out prefix and version. */
export const fullKey = (prefix: string, { version }: KeySpace, text: string): string =>
  text.startsWith(`${prefix}/`) ? text : `${start(prefix, version)}${text}`

/** A key without its prefix and version; any other text as it is. */
export function bareKey(prefix: string, text: string): string {
  const match = /^v\d+\/(.*)$/s.exec(
    text.startsWith(`${prefix}/`) ? text.slice(prefix.length + 1) : '',
  )
  return match?.[1] ?? text
}

/** A glob for SCAN that finds every key under a prefix. */
export const keyGlob = (prefix: string) => `${prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}/*`

/** The hash that holds the watermark of every resource. */
export const watermarkKey = (prefix: string) => `${prefix}/watermark`

/** What keeps the clock that the ages of entries and watermarks are told by. */
export const clockKey = (prefix: string) => `${prefix}/clock`

/** Where token buckets of log-in attempts are, by the HMAC of what they limit. */
export const attemptKey = (prefix: string, hmac: string) => `${prefix}/attempts/${hmac}`

const start = (prefix: string, version: number) => `${prefix}/v${version}/`

/** Which Redis this is, for those who invalidate in it. */
export const identityKey = (prefix: string) => `${prefix}/identity`

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
