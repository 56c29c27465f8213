import type { Reader } from '../shared/cache/reader.ts'
import type { Resource } from '../shared/cache/resource.ts'

/** The same reader, but resources named here live as long as it says, in milliseconds. */
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
