import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

/** The headers for answers that are data: nothing in them may be run, framed or guessed at. */
export function createSecurityHeaders(): (res: ServerResponse) => void {
  const headers = recordHeaders(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        // `default-src` is no fallback for the other two.
        directives: {
          defaultSrc: ["'none'"],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
        },
      },
      // About pages, downloads and browsers that do not concern an API.
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

/** helmet works its headers out for each response, though none depends on it: ask it once. */
function recordHeaders(middleware: ReturnType<typeof helmet>): [string, string][] {
  const req = new IncomingMessage(new Socket())
  const res = new ServerResponse(req)
  middleware(req, res, () => {})
  return Object.entries(res.getHeaders()).map(([name, value]) => [name, String(value)])
}
