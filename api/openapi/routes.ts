import type { IRoute, Router } from 'express'
import { isDescribed, type Operation } from './operation.ts'

/** One method of an Express route. */
export interface RoutedMethod {
  /** Such as `get`. */
  readonly method: string
  /** Such as `/agencies/branches/:id`. */
  readonly path: string
  /** Undefined if the method has no `operation` before its handler. */
  readonly operation: Operation | undefined
}

/** Returns all methods of all routes of a router, including routers mounted in it without a path. */
export function routesOf(router: Router): RoutedMethod[] {
  return router.stack.flatMap(({ route, handle }) => {
    if (route !== undefined) return methodsOf(route, route.path)
    return isRouter(handle) ? routesOf(handle) : []
  })
}

/** Returns the methods of one route. */
export function methodsOf({ stack }: Pick<IRoute, 'stack'>, path: string): RoutedMethod[] {
  // Handlers of `all` have no method; they reject other methods with 405.
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
