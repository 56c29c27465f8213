import type { z } from 'zod'
import type { Answer, Params } from '../../shared/cache/index.ts'
import type { Resource } from '../../shared/resources/cache.ts'
import type { AppDeps } from '../deps.ts'
import type { User } from '../http/authenticate.ts'
import type { Json } from '../http/json.ts'
import { parse } from '../parse.ts'
import type { Anyone, LoggedIn } from './access.ts'
import {
  type Absent,
  createAbsentDetail,
  createBegin,
  type Described,
  type Endpoint,
  type Handler,
  type QuerySchema,
  type Trx,
} from './endpoint.ts'
import type { ParamsOf } from './path-parameters.ts'

type Cached<Path extends string, Query extends QuerySchema> = Described<Path> & {
  readonly answers: { readonly 200: z.ZodType }
  readonly query?: Query
  readonly resource: Resource
  /** The detail of the 404 for an entity that does not exist. */
  readonly absent?: Absent<ParamsOf<Path>>
}

/**
 * Declares a GET that reads through the cache for a logged-in user. The cache is read concurrently with
 * the check of access:
 *
 * ```ts
 * getCached('/agencies/branches', {
 *   summary: 'List all branches',
 *   access: user,
 *   answers: { 200: z.array(branch) },
 *   resource: branches,
 *   variant: 'all',
 * })
 * ```
 */
export function getCached<const Path extends string, Query extends QuerySchema = QuerySchema>(
  path: Path,
  options: Cached<Path, Query> & {
    readonly access: LoggedIn
    /** The parameters of the resource; none by default. */
    readonly key?: (params: ParamsOf<Path>, userId: string) => Params
    readonly variant:
      string | ((params: ParamsOf<Path>, userId: string, query: z.output<Query>) => string)
    /** The variant for a user whose rights require another one; null if they do not. */
    readonly variantByRights?: (params: ParamsOf<Path>, user: User) => string | null
    /** The search that replaces the cached answer for some queries; null for the others. */
    readonly search?: (query: z.output<Query>) => ((trx: Trx) => Promise<Json>) | null
  },
): Endpoint {
  const { query: schema, resource, key = noParams, variantByRights, search } = options
  const variant = functionOf(options.variant)
  const { begin, absent, endpoint } = cachedOf(path, options)

  return endpoint((deps) => {
    const { reader, readAs, requireUser, sendAnswer, sendPrivate, expensive } = deps
    return async (req, res) => {
      const params = begin(req)
      let query = undefined as z.output<Query>
      if (schema !== undefined) {
        const sent = schema.safeParse(req.query)
        // An invalid query is rejected with 401 if the request is anonymous.
        if (!sent.success) await requireUser(req)
        query = sent.success ? sent.data : parse(schema, req.query)
        const find = search?.(query)
        if (find) {
          const { userId } = await requireUser(req)
          expensive.count(userId, 'search')
          return sendPrivate(req, res, await expensive.run(() => reader.query(find)), 'search')
        }
      }
      const answer = await readAs(
        req,
        (userId) => reader.read(req, resource, key(params, userId), variant(params, userId, query)),
        variantByRights &&
          ((user) => {
            const other = variantByRights(params, user)
            return other === null
              ? null
              : reader.read(req, resource, key(params, user.userId), other)
          }),
      )
      const detail = answer.body === null ? absent(params) : undefined
      return sendAnswer(req, res, answer, 'user', detail)
    }
  })
}

/** Declares a GET that reads through the cache for everyone, and that shared caches may store. */
export function getPublic<const Path extends string, Query extends QuerySchema = QuerySchema>(
  path: Path,
  options: Cached<Path, Query> & {
    readonly access: Anyone
    readonly key?: (params: ParamsOf<Path>) => Params
    readonly variant: string | ((query: z.output<Query>) => string)
    /** The answer instead of 404 if the entity does not exist. */
    readonly empty?: Pick<Answer, 'body' | 'etag'>
    /** The read that replaces the cached answer for some queries, with the detail of `Cache-Status`. */
    readonly uncached?: (
      query: z.output<Query>,
    ) => { readonly detail: string; readonly read: (trx: Trx) => Promise<Json> } | null
    /** The answer to a user with more rights than the public has; null for other users. */
    readonly readWithRights?: (
      trx: Trx,
      params: ParamsOf<Path>,
      user: User,
    ) => Promise<string | null>
  },
): Endpoint {
  const { query: schema, resource, key = noParams, empty, uncached, readWithRights } = options
  const variant = functionOf(options.variant)
  const { begin, absent, endpoint } = cachedOf(path, options)

  return endpoint((deps) => {
    const { reader, authenticate, sendAnswer, sendPrivate, sendResource } = deps
    return async (req, res) => {
      const params = begin(req)
      const query = (schema && parse(schema, req.query)) as z.output<Query>
      const instead = uncached?.(query)
      if (instead) return sendPrivate(req, res, await reader.query(instead.read), instead.detail)
      const reading = reader.read(req, resource, key(params), variant(query))
      if (readWithRights !== undefined) {
        // The cache is read before authentication, so that Redis receives both reads together.
        reading.catch(() => {})
        const user = await authenticate(req)
        const whole = user && (await reader.query((trx) => readWithRights(trx, params, user)))
        if (whole !== null) return sendResource(req, res, whole)
      }
      const answer = await reading
      if (answer.body !== null) return sendAnswer(req, res, answer, 'anyone')
      if (empty) return sendAnswer(req, res, { ...answer, ...empty }, 'anyone')
      return sendAnswer(req, res, answer, 'anyone', absent(params))
    }
  })
}

const NO_PARAMS: Params = {}
const noParams = () => NO_PARAMS

const functionOf = <Args extends readonly unknown[]>(
  variant: string | ((...args: Args) => string),
): ((...args: Args) => string) => (typeof variant === 'string' ? () => variant : variant)

/** Returns the common parts of cached reads. */
function cachedOf<Path extends string>(
  path: Path,
  options: Cached<Path, QuerySchema> & { readonly access: Anyone | LoggedIn },
) {
  const { params = {} } = options
  return {
    begin: createBegin<Path>(options),
    absent: createAbsentDetail(options.absent, params),
    endpoint: (createHandler: (deps: AppDeps) => Handler): Endpoint => ({
      ...options,
      method: 'get',
      isCached: true,
      path,
      params,
      isConditional: false,
      createHandler,
    }),
  }
}
