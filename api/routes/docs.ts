import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { anyone, type Endpoint, handle, oneOf } from '../endpoints/index.ts'
import type { CompressResponse } from '../http/compress-response.ts'

// Resolved instead of imported, because the package's main file is for browsers.
const FOLDER = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'] as const

/**
 * The script of the page. Swagger UI needs seconds to resolve a 3.1 document but not a 3.0 document, so the script
 * rewrites the only visible difference: types with null. It sends the CSRF token with each request.
 */
const START = `
  const nullable = (value) => {
    if (Array.isArray(value)) return value.map(nullable)
    if (typeof value !== 'object' || value === null) return value
    const copy = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, nullable(part)]))
    if (Array.isArray(copy.type)) {
      copy.nullable = copy.type.includes('null')
      copy.type = copy.type.find((type) => type !== 'null')
    }
    return copy
  }
  fetch('openapi.json').then((response) => response.json()).then((description) => SwaggerUIBundle({
    spec: { ...nullable(description), openapi: '3.0.3' },
    dom_id: '#docs',
    deepLinking: true,
    // Rendering all operations at once takes seconds.
    docExpansion: 'none',
    // Each operation shows its own schemas.
    defaultModelsExpandDepth: -1,
    requestInterceptor(request) {
      const token = /(?:^|; )spmscsrf=([^;]*)/.exec(document.cookie)
      if (token) request.headers['X-CSRFToken'] = token[1]
      return request
    },
  }))`

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>SPMS API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>${START}</script>
</body>
</html>
`

const PAGE_HEADERS = {
  'Cache-Control': 'public, no-cache',
  // Allows the files of the page and the inline script. Swagger UI sets inline styles.
  'Content-Security-Policy': [
    "default-src 'none'",
    `script-src 'self' 'sha256-${createHash('sha256').update(START).digest('base64')}'`,
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}

/**
 * The OpenAPI document of the API, and a page that shows it. `describe` creates the document; it is called at
 * the first request.
 */
export function docsEndpoints(
  describe: () => object,
  compressResponse: CompressResponse,
): readonly Endpoint[] {
  let document: string | undefined
  return [
    handle('get', '/openapi.json', {
      summary: 'Get the OpenAPI document',
      access: anyone,
      answers: { 200: z.looseObject({ openapi: z.string() }) },
      handle(req, res) {
        document ??= JSON.stringify(describe())
        compressResponse(req, res)
        res.set('Cache-Control', 'public, no-cache').type('json').send(document)
      },
    }),
    handle('get', '/docs', {
      summary: 'Get the OpenAPI document as a page',
      access: anyone,
      answers: { 200: 'text/html' },
      handle(req, res) {
        compressResponse(req, res)
        res.set(PAGE_HEADERS).type('html').send(PAGE)
      },
    }),
    handle('get', '/docs/:file', {
      summary: 'Get a script or a style sheet of the page',
      access: anyone,
      params: { file: oneOf(FILES) },
      answers: { 200: '*/*' },
      handle(req, res, { params }) {
        compressResponse(req, res)
        res.sendFile(params.file, { root: FOLDER, maxAge: '1 day' })
      },
    }),
  ]
}
