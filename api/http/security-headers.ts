import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

/**
 * Creates a function that sets the security headers of JSON responses: no scripts, frames or
 * sniffing.
 */
export function createSecurityHeaders(): (res: ServerResponse) => void {
  const headers = recordHeaders(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        // `base-uri` and `frame-ancestors` do not fall back to `default-src`.
        directives: {
          defaultSrc: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      // These headers concern HTML pages and old browsers only.
      crossOriginOpenerPolicy: false,
      originAgentCluster: false,
      xDnsPrefetchControl: false,
      xDownloadOptions: false,
      xPermittedCrossDomainPolicies: false,
      xXssProtection: false,
    }),
  )
  return (res) => {
    for (const [name, value] of headers) res.setHeader(name, value)
  }
}

/** Computes the headers once: helmet computes them for each response, but they are constant. */
function recordHeaders(middleware: ReturnType<typeof helmet>): [string, string][] {
  const req = new IncomingMessage(new Socket())
  const res = new ServerResponse(req)
  middleware(req, res, () => {})
  return Object.entries(res.getHeaders()).map(([name, value]) => [name, String(value)])
}
