import type { IRoute, Router } from 'express'
import { isDescribed, type Operation } from './operation.ts'

/** One method of a route, as Express has it. */
export interface RoutedMethod {
  /** Such as `get`. */
  readonly method: string
  /** Such as `/agencies/branches/:id`. */
  readonly path: string
  /** Undefined where nobody said what it takes and answers. */
  readonly operation: Operation | undefined
}

/** Every method of every route of a router, and of the routers that it uses without a path. */
export function routesOf(router: Router): RoutedMethod[] {
  return router.stack.flatMap(({ route, handle }) => {
    if (route !== undefined) return methodsOf(route, route.path)
    return isRouter(handle) ? routesOf(handle) : []
  })
}

/** The methods of one route, under the path that it is reached by. */
export function methodsOf({ stack }: Pick<IRoute, 'stack'>, path: string): RoutedMethod[] {
  // `all` has no method: it ends a route with a 405.
  const methods = new Set(stack.flatMap(({ method }) => method ?? []))
  return [...methods].map((method) => ({
    method,
    path,
    operation: stack
      .filter((layer) => layer.method === method)
      .map(({ handle }) => handle)
      .find(isDescribed)?.operation,
  }))
}

export const isRouter = (handle: object): handle is Router => 'stack' in handle
