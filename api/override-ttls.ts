import type { Reader, Resource } from '../shared/resources/cache.ts'

/**
 * Returns a reader that replaces the TTLs of the given resources. `ttlsMs` maps names to
 * milliseconds.
 */
export function overrideTtls(reader: Reader, ttlsMs: ReadonlyMap<string, number>): Reader {
  const overridden = (resource: Resource): Resource => {
    const ttlMs = ttlsMs.get(resource.name)
    return ttlMs === undefined ? resource : { ...resource, ttlMs }
  }
  return {
    ...reader,
    read: (resource, ...rest) => reader.read(overridden(resource), ...rest),
  }
}
