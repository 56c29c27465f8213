import { Router } from 'express'
import type { AppDeps } from '../deps.ts'
import { methodNotAllowed } from '../http/problem.ts'
import type { Endpoint } from './endpoint.ts'

interface RouterOptions {
  /** Whether other methods of a path are rejected with 405; otherwise the router ignores them. */
  readonly rejectsOtherMethods: boolean
}

/**
 * Creates the router of endpoints. Their order does not matter: where several paths match a request, a literal
 * segment wins over a parameter. Apart from that a request is compared with the paths in the order of the
 * list, so the busiest should come first.
 * @throws Error if two endpoints have the same method and path.
 */
export function createEndpointRouter(
  endpoints: readonly Endpoint[],
  deps: AppDeps,
  { rejectsOtherMethods }: RouterOptions,
): Router {
  const router = Router({ strict: true, caseSensitive: true })
  for (const path of inOrder([...new Set(endpoints.map(({ path }) => path))])) {
    const methods = endpoints.filter((endpoint) => endpoint.path === path)
    const names = methods.map(({ method }) => method.toUpperCase())
    if (new Set(names).size < names.length) throw new Error(`${path} has two endpoints of a method`)
    const route = router.route(patternOf(path, methods))
    for (const endpoint of methods) {
      const handler = endpoint.createHandler(deps)
      route[endpoint.method](Object.assign(handler, { endpoint }))
    }
    if (rejectsOtherMethods) route.all(methodNotAllowed(...names))
  }
  return router
}

/** Returns the pattern of Express: a parameter that spans segments is a wildcard. */
const patternOf = (path: string, endpoints: readonly Endpoint[]): string =>
  path.replaceAll(/:(\w+)/g, (text, name: string) =>
    endpoints.some(({ params }) => params[name]?.spansSegments) ? `*${name}` : text,
  )

/** Orders paths so that each comes after those that win over it, and keeps their order otherwise. */
function inOrder(paths: readonly string[]): string[] {
  const left = [...paths]
  const ordered: string[] = []
  while (left.length > 0) {
    // Always finds a path, since `winsOver` has no cycles.
    const next = left.findIndex((path) => !left.some((other) => winsOver(other, path)))
    ordered.push(...left.splice(next, 1))
  }
  return ordered
}

/** Whether a request can match both paths, and `one` has a literal where they first differ. */
function winsOver(one: string, other: string): boolean {
  const others = other.split('/')
  const pairs = one.split('/').map((segment, i) => [segment, others[i] ?? ''] as const)
  if (pairs.length !== others.length) return false
  const differing = pairs.filter(([a, b]) => isParameter(a) !== isParameter(b))
  const overlap = pairs.every(([a, b]) => isParameter(a) || isParameter(b) || a === b)
  return overlap && differing[0] !== undefined && !isParameter(differing[0][0])
}

const isParameter = (segment: string) => segment.startsWith(':')
