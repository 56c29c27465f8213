/**
 * Whether a pattern given to `invalidation.flush` may concern a resource: its name, or a glob
 * that some key of it matches. `project:*` concerns `project:{project_id}:detail`.
 */
export function concerns(pattern: string, resource: { name: string; key: string }): boolean {
  return pattern === resource.name || overlap([...pattern], symbolsOf(resource.key))
}

/** One token a character; a parameter is any text without a colon. */
const PARAMETER = '{}'
const symbolsOf = (key: string) =>
  key.split(/(\{\w+\})/).flatMap((part) => (part.startsWith('{') ? [PARAMETER] : [...part]))

/** Whether some text matches both a glob and a key pattern. */
function overlap(
  glob: readonly string[],
  key: readonly string[],
  tried = new Set<string>(),
): boolean {
  // What is left of both says where we are; a place that led nowhere is not tried again.
  const position = `${glob.length}/${key.length}`
  if (tried.has(position)) return false
  tried.add(position)
  const [g, ...globRest] = glob
  const [k, ...keyRest] = key
  if (g === undefined && k === undefined) return true
  const go = (glob: readonly string[], key: readonly string[]) => overlap(glob, key, tried)
  if (g === '*') return go(globRest, key) || (k !== undefined && go(glob, keyRest))
  if (k === PARAMETER) {
    return go(glob, keyRest) || (g !== undefined && g !== ':' && go(globRest, key))
  }
  return g !== undefined && g === k && go(globRest, keyRest)
}
