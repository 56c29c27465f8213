import {
  createServer,
  IncomingMessage,
  type Server,
  type ServerOptions,
  ServerResponse,
} from 'node:http'
import { oneAtATime } from '../../shared/server.ts'
import type { App } from '../app.ts'
import { setEach, type WithDeferredHeaders } from './common-headers.ts'

/**
 * Creates the HTTP server of an application. Cached reads skip Express.
 *
 * Express calls `Object.setPrototypeOf` on each request and response, which makes the objects slow.
 * Here Node creates them with Express's prototypes, so that the call changes nothing.
 */
export function createAppServer(app: App, options: ServerOptions): Server {
  class AppRequest extends IncomingMessage {}
  class AppResponse<Request extends IncomingMessage = IncomingMessage>
    extends ServerResponse<Request>
    implements WithDeferredHeaders
  {
    deferred?: readonly string[] | undefined

    deferHeaders(headers: readonly string[]): void {
      this.deferred = headers
    }

    override writeHead(...args: readonly unknown[]): this {
      const { deferred } = this
      this.deferred = undefined
      const [status, headers] = args
      if (deferred !== undefined) {
        // Node sends a list as it is if no header was set before.
        if (Array.isArray(headers) && this.getHeaderNames().length === 0) {
          return super.writeHead(status as number, [...deferred, ...(headers as string[])])
        }
        setEach(this, deferred)
      }
      return super.writeHead(...(args as Parameters<ServerResponse['writeHead']>))
    }
  }
  app.request = Object.setPrototypeOf(AppRequest.prototype, app.request)
  app.response = Object.setPrototypeOf(AppResponse.prototype, app.response)
  return createServer(
    { ...options, IncomingMessage: AppRequest, ServerResponse: AppResponse },
    oneAtATime((req, res) => {
      if (!app.answerCached(req, res)) app(req, res)
    }),
  )
}
