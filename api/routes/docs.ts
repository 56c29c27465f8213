import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Router } from 'express'
import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'

export interface DocsDeps {
  /** Creates the document. Called at the first request, when all routes are mounted. */
  readonly describe: () => object
}

/** The OpenAPI document of the API, and a page that shows it. */
export function docsRoutes({ describe }: DocsDeps): Router {
  const router = Router({ strict: true, caseSensitive: true })
  let document: string | undefined

  router
    .route('/openapi.json')
    .get(readDocument, (_req, res) => {
      document ??= JSON.stringify(describe())
      res.set('Cache-Control', 'public, no-cache').type('json').send(document)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/docs')
    .get(readPage, (_req, res) => {
      res.set(PAGE_HEADERS).type('html').send(PAGE)
    })
    .all(methodNotAllowed('GET'))

  router
    .route('/docs/:file')
    .get(readFile, (req, res) => {
      const file = z.enum(FILES).safeParse(req.params.file)
      if (!file.success) throw new PublicError('not_found', 'Not found.')
      res.sendFile(file.data, { root: FOLDER, maxAge: '1 day' })
    })
    .all(methodNotAllowed('GET'))

  return router
}

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

const readDocument = operation({
  summary: 'Get the OpenAPI document',
  who: 'anyone',
  answers: { 200: z.looseObject({ openapi: z.string() }) },
})

const readPage = operation({
  summary: 'Get the OpenAPI document as a page',
  who: 'anyone',
  answers: { 200: 'text/html' },
})

const readFile = operation({
  summary: 'Get a script or a style sheet of the page',
  who: 'anyone',
  params: { file: z.enum(FILES) },
  answers: { 200: '*/*' },
})
