/**
 * Whether a pattern given to `invalidation.flush` may concern a resource: its name, or a glob
 * that some key of it matches. `project:*` concerns `project:{project_id}:detail`.
 */
export function concerns(pattern: string, resource: { name: string; key: string }): boolean {
  return pattern === resource.name || overlap([...pattern], tokensOf(resource.key))
}

/** One token a character; a parameter is any text without a colon. */
const PARAMETER = '{}'
const tokensOf = (key: string) =>
  key.split(/(\{\w+\})/).flatMap((part) => (part.startsWith('{') ? [PARAMETER] : [...part]))

/** Whether some text matches both a glob and a key pattern. */
function overlap(glob: readonly string[], key: readonly string[]): boolean {
  const [g, ...globRest] = glob
  const [k, ...keyRest] = key
  if (g === undefined && k === undefined) return true
  if (g === '*') return overlap(globRest, key) || (k !== undefined && overlap(glob, keyRest))
  if (k === PARAMETER) {
    return overlap(glob, keyRest) || (g !== undefined && g !== ':' && overlap(globRest, key))
  }
  return g !== undefined && g === k && overlap(globRest, keyRest)
}
