import type { Request, Response } from 'express'
import type { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import type { AppDeps } from '../deps.ts'
import type { User } from '../http/authenticate.ts'
import { markAsRead } from '../http/consistency.ts'
import { type Json, sendNothing } from '../http/json.ts'
import { type Attachment, sendPieces } from '../http/pieces.ts'
import { parse } from '../parse.ts'
import type { LoggedIn, ReadRule } from './access.ts'
import {
  type Absent,
  createAbsentDetail,
  createBegin,
  type Described,
  type Endpoint,
  type QuerySchema,
  type Trx,
} from './endpoint.ts'
import type { ParamsOf } from './path-parameters.ts'

/**
 * How a read is limited: it counts towards a limit of the user and waits for a slot. `search` and `list`
 * share one limit; only a `search` sets `detail=search` in `Cache-Status`. An `export` returns all rows.
 */
type Cost = 'search' | 'list' | 'export'

/** Runs a query of an expensive read in its own transaction. */
export type RunQuery = <T>(work: (trx: Trx) => Promise<T>) => Promise<T>

type Read<Path extends string, Query extends QuerySchema, Found> = Described<Path> & {
  readonly answers: { readonly 200: z.ZodType | string }
  readonly access: LoggedIn | ReadRule<ParamsOf<Path>>
  readonly query?: Query
  readonly cost?: Cost
  /** Runs in a read-only transaction. Null is answered with 404. */
  readonly read: (
    trx: Trx,
    params: ParamsOf<Path>,
    context: { readonly query: z.output<Query>; readonly user: User },
  ) => Promise<Found | null>
  readonly absent?: Absent<ParamsOf<Path>>
}

/**
 * Declares a GET that always reads from Postgres:
 *
 * ```ts
 * get('/agencies/branches/:id', {
 *   summary: 'Get a branch',
 *   access: user,
 *   params: { id: idOf('Branch') },
 *   answers: { 200: branchDetail },
 *   etag: true,
 *   read: (trx, { id }) => findBranch(trx, id),
 * })
 * ```
 */
export function get<const Path extends string, Query extends QuerySchema = QuerySchema>(
  path: Path,
  options: Read<Path, Query, Json> & {
    /** Whether the answer has an entity tag, because writes compare it with `If-Match`. */
    readonly etag?: true
  },
): Endpoint {
  const detail = options.cost === 'search' ? 'search' : undefined
  return readOf('get', path, options, ({ sendPrivate, sendResource }) => (req, res, found) => {
    // `read` returns '' only in the case that `isEmpty` describes.
    if (found === '') return sendNothing(res)
    if (options.etag && typeof found === 'string') return sendResource(req, res, found)
    sendPrivate(req, res, found, detail)
  })
}

/**
 * Declares a GET, and a POST with the same parameters in its body. Clients use the POST to keep personal
 * data out of access logs.
 */
export function getOrPost<const Path extends string, Query extends QuerySchema>(
  path: Path,
  options: Read<Path, Query, Json>,
): readonly Endpoint[] {
  return [
    readOf('get', path, options, createSendFound),
    readOf('post', path, options, createSendFound),
  ]
}

const createSendFound =
  ({ sendPrivate }: AppDeps): Send<Json> =>
  (req, res, found) =>
    sendPrivate(req, res, found)

/** Declares a GET whose result is too large to buffer, and is sent in pieces of text: JSON, or a file. */
export function getPieces<
  const Path extends string,
  Found extends object,
  Query extends QuerySchema = QuerySchema,
>(
  path: Path,
  options: Read<Path, Query, Found> & {
    /** Yields the pieces of the text. Each of its queries waits for a slot. */
    readonly pieces: (found: Found, run: RunQuery) => AsyncIterable<string>
    /** The file as which a browser saves the text. */
    readonly attachment?: Attachment
  },
): Endpoint {
  return readOf('get', path, options, ({ expensive, reader, compressResponse }) => {
    const run: RunQuery = (work) => expensive.run(() => reader.query(work))
    return (req, res, found) => {
      compressResponse(req, res)
      return sendPieces(req, res, options.pieces(found, run), options.attachment)
    }
  })
}

type Send<Found> = (req: Request, res: Response, found: Found) => Promise<void> | void

/** A read whose parameters are in the query of a GET or in the body of a POST. */
function readOf<Path extends string, Query extends QuerySchema, Found>(
  method: 'get' | 'post',
  path: Path,
  options: Read<Path, Query, Found>,
  createSend: (deps: AppDeps) => Send<Found>,
): Endpoint {
  const { access, query: schema, cost, read, params = {} } = options
  const begin = createBegin<Path>(options)
  const absent = createAbsentDetail(options.absent, params)
  const source = method === 'get' ? 'query' : 'body'
  return {
    ...options,
    method,
    path,
    params,
    query: undefined,
    [source]: schema,
    isConditional: false,
    createHandler(deps) {
      const { requireUser, expensive, reader } = deps
      const send = createSend(deps)
      return async (req, res) => {
        const parsed = begin(req)
        if (method === 'post') markAsRead(res)
        const user = await requireUser(req)
        if (access.kind === 'read rule') access.enforce(user, parsed)
        const query = schema && parse(schema, req[source])
        const find = () =>
          reader.query((trx) => read(trx, parsed, { query: query as z.output<Query>, user }))
        if (cost !== undefined) expensive.count(user.userId, cost === 'list' ? 'search' : cost)
        const found = await (cost === undefined ? find() : expensive.run(find))
        if (found === null) throw new PublicError('not_found', absent(parsed))
        await send(req, res, found)
      }
    },
  }
}
