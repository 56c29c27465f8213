import type { Express, IRoute } from 'express'
import { isRouter, methodsOf, type RoutedMethod } from '../../api/openapi/routes.ts'

interface Layer {
  readonly rawPath?: unknown
  readonly handle: object
  readonly route?: Pick<IRoute, 'stack'> | undefined
}

/**
 * Returns every method of every route of an Express application, with its full path.
 * @throws if the internals of Express have changed.
 */
export const mountedRoutes = (app: Express): RoutedMethod[] => routesIn(app.router.stack, '')

function routesIn(layers: readonly Layer[], prefix: string): RoutedMethod[] {
  return layers.flatMap(({ route, handle, rawPath }) => {
    if (typeof rawPath !== 'string') throw new Error('Express router layers have no rawPath')
    const path = rawPath === '/' ? prefix : `${prefix}${rawPath}`
    if (route !== undefined) return methodsOf(route, path)
    return isRouter(handle) ? routesIn(handle.stack, path) : []
  })
}
