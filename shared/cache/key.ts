import { paramsOf, type Params, type ResourceRules } from './resource.ts'

type KeySpace = Pick<ResourceRules, 'key' | 'version'>

/**
 * `spms:1:staff:profile:42`: prefix, version of the resource, pattern with its parameters.
 *
 * Readers build keys from requests, the invalidator builds them from rows. They meet only here.
 */
export function entryKey(prefix: string, { key, version }: KeySpace, params: Params): string {
  const filled = key.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name]
    if (value === undefined) throw new Error(`no parameter ${name} for ${key}`)
    return value
  })
  return `${prefix}:${version}:${filled}`
}

/** Matches every key of a resource under a prefix, and nothing else: parameters hold no colon. */
export function keyMatcher(prefix: string, { key, version }: KeySpace): RegExp {
  const pattern = key
    .split(/\{\w+\}/)
    .map(escape)
    .join('[^:]+')
  return new RegExp(`^${escape(`${prefix}:${version}:`)}${pattern}$`)
}

/** A glob for SCAN that matches every key of a resource, and few others: `*` also matches colons. */
export function keyGlob(prefix: string, resource: KeySpace): string {
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
  const places = key.split(':').map((part) => part.replace(/^\{(\w+)\}$/, '(?<$1>[^:]+)'))
  const pattern = new RegExp(`^${escape(`${prefix}:${version}:`)}${places.join(':')}$`)
  return (text) => {
    const match = pattern.exec(text)
    return match && { ...match.groups }
  }
}

/** The hash that holds the watermark of every resource. */
export const watermarkKey = (prefix: string) => `${prefix}:watermark`

const escape = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
