import type { Request, Response } from 'express'
import type { z } from 'zod'
import type { User } from '../http/authenticate.ts'
import type { Anyone, LoggedIn } from './access.ts'
import { createBegin, type Described, type Endpoint, type Method } from './endpoint.ts'
import type { ParamsOf } from './path-parameters.ts'

interface HandleContext<Path extends string, Access> {
  readonly params: ParamsOf<Path>
  /** The user who sent the request. */
  readonly user: Access extends LoggedIn ? User : undefined
}

/**
 * Declares an endpoint that is neither a read nor a transaction, such as a log-in. `handle` parses the body
 * and sends the answer.
 */
export function handle<const Path extends string, Access extends Anyone | LoggedIn>(
  method: Method,
  path: Path,
  options: Described<Path> & {
    readonly access: Access
    readonly body?: z.ZodType
    readonly handle: (
      req: Request,
      res: Response,
      context: HandleContext<Path, Access>,
    ) => Promise<void> | void
  },
): Endpoint {
  const { access, handle, params = {} } = options
  const begin = createBegin<Path>(options)
  return {
    ...options,
    method,
    path,
    params,
    isConditional: false,
    createHandler:
      ({ requireUser }) =>
      async (req, res) => {
        const parsed = begin(req)
        const user = access.kind === 'user' ? await requireUser(req) : undefined
        const context = { params: parsed, user } as HandleContext<Path, Access>
        await handle(req, res, context)
      },
  }
}
