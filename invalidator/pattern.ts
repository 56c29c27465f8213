/**
 * Returns whether a pattern given to `invalidation.flush` may concern a resource: its name, or a glob
 * that matches some key of it. `project:*` concerns `project:{project_id}:detail`.
 */
export function concerns(pattern: string, resource: { name: string; key: string }): boolean {
  return pattern === resource.name || overlap([...pattern], symbolsOf(resource.key))
}

/** One symbol for each character. A parameter is one symbol for any text without a colon. */
const PARAMETER = '{}'
const symbolsOf = (key: string) =>
  key.split(/(\{\w+\})/).flatMap((part) => (part.startsWith('{') ? [PARAMETER] : [...part]))

/** Whether some text matches both a glob and a key pattern. */
function overlap(
  glob: readonly string[],
  key: readonly string[],
  tried = new Set<string>(),
): boolean {
  // The lengths of both rests identify a position. A position that failed is not tried again.
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
