import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

/**
 * Returns the security headers of JSON responses, as alternating names and values: no scripts, frames or
 * sniffing.
 */
export const securityHeaders = (): readonly string[] =>
  recordHeaders(
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

/** Computes the headers once: helmet computes them for each response, but they are constant. */
function recordHeaders(middleware: ReturnType<typeof helmet>): string[] {
  const req = new IncomingMessage(new Socket())
  const res = new ServerResponse(req)
  middleware(req, res, () => {})
  return Object.entries(res.getHeaders()).flatMap(([name, value]) => [name, String(value)])
}
