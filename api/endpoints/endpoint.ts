import type { Request, Response } from 'express'
import type { Transaction } from 'kysely'
import type { z } from 'zod'
import type { Database } from '../../db/schema.ts'
import type { AppDeps } from '../deps.ts'
import { requireReadable } from '../http/body.ts'
import { isForm } from '../http/form.ts'
import { addSecurityContext, type SecurityEvent } from '../http/security-log.ts'
import type { Access } from './access.ts'
import type { Declared, ParamsOf, PathParameter } from './path-parameters.ts'

export type Trx = Transaction<Database>

export type Method = 'get' | 'post' | 'put' | 'delete'

/** Handles a request of an endpoint. */
export type Handler = (req: Request, res: Response) => Promise<void> | void

/**
 * One method of one path. The router, the OpenAPI document and the tests of access are made from it. The
 * functions `get`, `getCached`, `create`, `put` and others create it.
 */
export interface Endpoint {
  readonly method: Method
  /** Such as `/agencies/branches/:id`. */
  readonly path: string
  /** One line in the imperative, such as `Change a branch`. */
  readonly summary: string
  readonly access: Access
  readonly params: Readonly<Record<string, PathParameter>>
  readonly query?: QuerySchema | undefined
  readonly body?: z.ZodType | undefined
  readonly isBodyOptional?: true | undefined
  /** Whether the body may also be a form with a file. */
  readonly acceptsForm?: true | undefined
  /** Whether it is a GET that reads through the cache. */
  readonly isCached?: true
  /** Whether it checks `If-Match`. */
  readonly isConditional: boolean
  readonly answers: Answers
  /** The case in which a success has no body, such as `for the id 0`. */
  readonly isEmpty?: string | undefined
  readonly createHandler: (deps: AppDeps) => Handler
}

export type QuerySchema = z.ZodType<unknown, Record<string, unknown>>

/** By status: the schema of the JSON, the media type of another body, or null for no body. */
export type Answers = Readonly<Record<number, z.ZodType | string | null>>

/** The common part of all declarations. */
export type Described<Path extends string> = Declared<Path> & {
  readonly summary: string
  readonly answers: Answers
  readonly isEmpty?: string | undefined
  /** The event in the security log, if it is not `read` or `write`. */
  readonly event?: SecurityEvent | undefined
}

/**
 * Returns a function that begins a request: it sets the event of the security log, rejects a body that
 * cannot be read, and returns the parameters of the path.
 */
export function createBegin<Path extends string>({
  event,
  acceptsForm,
  params = {},
}: {
  readonly event?: SecurityEvent | undefined
  readonly acceptsForm?: true | undefined
  readonly params?: Readonly<Record<string, PathParameter>> | undefined
}): (req: Request) => ParamsOf<Path> {
  const parameters = Object.entries(params)
  return (req) => {
    if (event !== undefined) addSecurityContext(req, { event })
    if (!acceptsForm || !isForm(req)) requireReadable(req)
    const parsed: Record<string, string> = {}
    for (const [name, { parse }] of parameters) parsed[name] = parse(textOf(req.params[name]))
    return parsed as ParamsOf<Path>
  }
}

/** A parameter that spans segments is a list of them. */
const textOf = (value: string | readonly string[] | undefined) =>
  typeof value === 'object' ? value.join('/') : String(value)

/** The detail of a 404, if it is not the default: `Branch 5 not found` for a path with one id. */
export type Absent<Params> = string | ((params: Params) => string)

/** Returns a function that returns the detail of a 404. */
export function createAbsentDetail<Params extends Readonly<Record<string, string>>>(
  absent: Absent<Params> | undefined,
  params: Readonly<Record<string, PathParameter>> = {},
): (parsed: Params) => string {
  if (typeof absent === 'function') return absent
  if (absent !== undefined) return () => absent
  const [[name, { entity }] = ['', {}]] = Object.entries(params)
  return (parsed) => (entity === undefined ? 'Not found.' : `${entity} ${parsed[name]} not found`)
}
