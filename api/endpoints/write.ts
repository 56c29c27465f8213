import type { Request } from 'express'
import type { z } from 'zod'
import { transact } from '../../db/writes/transact.ts'
import { type Json, sendCreated, sendJson, sendNoContent } from '../http/json.ts'
import { requireMatch, type Tagged, tagged } from '../http/tagged.ts'
import { isForm } from '../http/form.ts'
import type { FileChanges } from '../files/file-changes.ts'
import { parse } from '../parse.ts'
import type { LoggedIn, WriteRule } from './access.ts'
import { createBegin, type Described, type Endpoint, type Method, type Trx } from './endpoint.ts'
import type { ParamsOf } from './path-parameters.ts'

/** The input of a write besides the parameters of its path. */
interface WriteContext<Body extends z.ZodType, Granted, Prepared> {
  readonly req: Request
  readonly userId: string
  readonly body: z.output<Body>
  /** The result of the rule of access. */
  readonly granted: Granted
  readonly prepared: Prepared
  /** The files that the write adds and replaces. */
  readonly files: FileChanges
}

/** Reads a resource in the transaction of a write, as its GET shows it to a user with access. */
type Show<Key, Granted> = (
  trx: Trx,
  key: Key,
  context: { readonly userId: string; readonly granted: Granted },
) => Promise<string | null>

interface Write<Path extends string, Body extends z.ZodType, Granted, Prepared> {
  readonly access: LoggedIn | WriteRule<ParamsOf<Path>, Granted>
  readonly body?: Body
  readonly isBodyOptional?: true
  /** Whether the body may also be a form with a file. */
  readonly acceptsForm?: true
  /** Runs before the transaction: slow work, during which no row should be locked. */
  readonly prepare?: (
    req: Request,
    params: ParamsOf<Path>,
    userId: string,
    files: FileChanges,
  ) => Promise<Prepared>
  /**
   * Locks rows that the body names. The body is then validated before the lock, and the rule of access
   * decides again after it, because rights may change during the wait.
   */
  readonly lock?:
    | ((
        trx: Trx,
        params: ParamsOf<Path>,
        context: Pick<WriteContext<Body, Granted, Prepared>, 'body' | 'granted'>,
      ) => Promise<void>)
    | undefined
}

type Run<Path extends string, Body extends z.ZodType, Granted, Prepared, Result> = (
  trx: Trx,
  params: ParamsOf<Path>,
  context: WriteContext<Body, Granted, Prepared>,
) => Promise<Result>

/** The answer to a creation: the path of the resource, and its JSON. */
class Created {
  readonly path: string
  readonly json: Tagged

  constructor(path: string, json: Tagged) {
    this.path = path
    this.json = json
  }
}

type Result = Json | Tagged | Created | void

/**
 * Declares a PUT, which runs as one transaction:
 *
 * ```ts
 * put('/agencies/branches/:id', {
 *   summary: 'Change a branch',
 *   access: superuserOf('agencies_branch', 'Branch'),
 *   params: { id: idOf('Branch') },
 *   body: branchPatch,
 *   answers: { 200: branch },
 *   shown: (trx, { id }) => findBranch(trx, id),
 *   write: (trx, { id }, { body }) => updateBranch(trx, id, body),
 * })
 * ```
 *
 * In this order the rule of access decides and locks, `If-Match` is compared with what `shown` reads, the
 * body is validated, and `write` runs. If `write` returns nothing, the answer is what `answer` reads, by
 * default what `shown` reads, or 204 if that is the declared answer.
 */
export const put = writeWith('put')

/** Declares a POST that changes or does something, like `put`. */
export const post = writeWith('post')

/** Declares a DELETE, like `put`. */
export const del = writeWith('delete')

function writeWith(method: Exclude<Method, 'get'>) {
  return <
    const Path extends string,
    Body extends z.ZodType = z.ZodType,
    Granted = undefined,
    Prepared = undefined,
  >(
    path: Path,
    options: Described<Path> &
      Write<Path, Body, Granted, Prepared> & {
        /** Reads the body of a GET of the resource. With it the write checks `If-Match`. */
        readonly shown?: Show<ParamsOf<Path>, Granted>
        /** Reads the body of the answer. */
        readonly answer?: Show<ParamsOf<Path>, Granted> | undefined
        readonly write: Run<Path, Body, Granted, Prepared, Result>
        readonly answers: { readonly 200: z.ZodType } | { readonly 204: null }
      },
  ): Endpoint => {
    const { shown, answer = shown, write } = options
    const hasNoContent = 204 in options.answers

    return writeOf(method, path, options, shown, async (trx, params, context) => {
      const result = await write(trx, params, context)
      if (result !== undefined || hasNoContent) return result
      if (!answer) throw new Error(`${method} ${path} has no answer`)
      const body = written(await answer(trx, params, context))
      return tagged(body, shown && shown !== answer ? await shown(trx, params, context) : body)
    })
  }
}

/**
 * Declares a POST that creates a resource, like `put`. `insert` returns the id or another key of the
 * resource, and a GET of `location` shows it.
 */
export function create<
  const Path extends string,
  Body extends z.ZodType,
  Key,
  Granted = undefined,
  Prepared = undefined,
>(
  path: Path,
  options: Described<Path> &
    Write<Path, Body, Granted, Prepared> & {
      readonly insert: Run<Path, Body, Granted, Prepared, Key>
      readonly location: (key: Key) => string
      readonly answers: { readonly 201: z.ZodType }
      /** Reads the body of a GET of the created resource. */
      readonly shown: Show<Key, Granted>
      /** Returns the body of the answer if it is another one. */
      readonly answer?: ((trx: Trx, key: Key, shown: string) => Promise<string | null>) | undefined
    },
): Endpoint {
  const { insert, location, shown, answer } = options
  return writeOf('post', path, options, undefined, async (trx, params, context) => {
    const key = await insert(trx, params, context)
    const resource = written(await shown(trx, key, context))
    const body = answer ? written(await answer(trx, key, resource)) : resource
    return new Created(location(key), tagged(body, resource))
  })
}

function writeOf<Path extends string, Body extends z.ZodType, Granted, Prepared>(
  method: Exclude<Method, 'get'>,
  path: Path,
  options: Described<Path> & Write<Path, Body, Granted, Prepared>,
  shown: Show<ParamsOf<Path>, Granted> | undefined,
  run: Run<Path, Body, Granted, Prepared, Result>,
): Endpoint {
  const { access, body: schema, acceptsForm, prepare, lock, params = {} } = options
  const begin = createBegin<Path>(options)
  return {
    ...options,
    method,
    path,
    params,
    isConditional: shown !== undefined,
    createHandler:
      ({ db, requireUser, readForm, beginFileChanges }) =>
      async (req, res) => {
        const parsed = begin(req)
        const { userId } = await requireUser(req)
        const enforce = async (trx: Trx) =>
          (access.kind === 'user'
            ? undefined
            : await access.enforce(trx, { params: parsed, userId, sent: req.body })) as Granted
        if (acceptsForm && isForm(req)) {
          // Only users with access may send files. The transaction of the write decides again.
          await transact(db, enforce)
          req.body = await readForm(req)
        }

        const files = beginFileChanges()
        const work = async (trx: Trx, prepared: Prepared): Promise<Result> => {
          const decide = () => enforce(trx)
          const validate = () => (schema && parse(schema, req.body)) as z.output<Body>
          const match = async (granted: Granted) => {
            if (shown) await requireMatch(req, () => shown(trx, parsed, { userId, granted }))
          }

          const first = await decide()
          if (lock === undefined) {
            await match(first)
            const body = validate()
            return run(trx, parsed, { req, userId, prepared, granted: first, body, files })
          }
          const body = validate()
          await lock(trx, parsed, { body, granted: first })
          const granted = await decide()
          await match(granted)
          return run(trx, parsed, { req, userId, prepared, granted, body, files })
        }

        let result: Result
        try {
          const prepared = (await prepare?.(req, parsed, userId, files)) as Prepared
          result = await transact(db, (trx) => work(trx, prepared))
        } finally {
          await files.settle()
        }

        if (result === undefined) sendNoContent(res)
        else if (result instanceof Created) sendCreated(req, res, result.path, result.json)
        else sendJson(res, 200, result)
      },
  }
}

/** @throws Error if the body is null: a row that the write has locked cannot be missing. */
function written(body: string | null): string {
  if (body === null) throw new Error('the locked row of a write is missing')
  return body
}
