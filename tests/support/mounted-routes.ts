import type { Express, IRoute } from 'express'
import type { Endpoint } from '../../api/endpoints/endpoint.ts'

/** One method of a route of Express. */
interface RoutedMethod {
  /** Such as `get`. */
  readonly method: string
  /** Such as `/api/v1/agencies/branches/:id`. */
  readonly path: string
  /** The declaration that the route was made from, if any. */
  readonly endpoint: Endpoint | undefined
}

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
    // A parameter that spans segments is `*name` in Express, and `:name` in declarations.
    const path = rawPath === '/' ? prefix : `${prefix}${rawPath}`.replace('*', ':')
    if (route !== undefined) return methodsOf(route, path)
    return isRouter(handle) ? routesIn(handle.stack, path) : []
  })
}

/** Handlers of `all` have no method; they reject other methods with 405. */
const methodsOf = ({ stack }: Pick<IRoute, 'stack'>, path: string): RoutedMethod[] =>
  stack.flatMap(({ method, handle }) =>
    method ? [{ method, path, endpoint: isDeclared(handle) ? handle.endpoint : undefined }] : [],
  )

const isRouter = (handle: object): handle is { readonly stack: readonly Layer[] } =>
  'stack' in handle

const isDeclared = (handle: object): handle is { readonly endpoint: Endpoint } =>
  'endpoint' in handle
