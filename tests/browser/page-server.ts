import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'

const FOLDER = new URL('page/', import.meta.url)
const SCRIPT = '/main.js'
const FORWARDED = /^\/(api|files)\//

/** A server of the page and of the API, on one origin. */
export interface PageServer extends AsyncDisposable {
  readonly origin: string
}

/** Serves the page at every path but those of the API, which it forwards to the API of this address. */
export async function startPageServer(api: string): Promise<PageServer> {
  const server = createServer((req, res) => {
    const answer = FORWARDED.test(req.url ?? '') ? forward(api, req, res) : sendPage(req, res)
    // A browser cancels requests when it leaves a page.
    answer.catch(() => res.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

async function forward(api: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const forwarded = request(new URL(req.url ?? '/', api), {
    method: req.method,
    headers: req.headers,
  })
  const [[answer]] = await Promise.all([
    once(forwarded, 'response') as Promise<[IncomingMessage]>,
    pipeline(req, forwarded),
  ])
  res.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
  await pipeline(answer, res)
}

async function sendPage(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const isScript = req.url === SCRIPT
  const content = await readFile(new URL(isScript ? 'main.js' : 'index.html', FOLDER))
  res.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
  res.end(content)
}
