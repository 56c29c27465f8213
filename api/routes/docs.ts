import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Router } from 'express'
import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import { methodNotAllowed } from '../http/problem.ts'
import { operation } from '../openapi/operation.ts'

export interface DocsDeps {
  /** Makes the document, when it is first asked for: by then every route is mounted. */
  readonly describe: () => object
}

/** The API's own description, and a page that shows it. */
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

// Not imported: its main file would run, and it is for browsers.
const FOLDER = dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')))
const FILES = ['swagger-ui.css', 'swagger-ui-bundle.js'] as const

/**
 * Shows the document. Swagger UI resolves a 3.1 document for seconds, a 3.0 document at once, so the page
 * rewrites the only differences that it shows: types with null. It sends the CSRF token with each request.
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
    // All operations at once would take the browser seconds.
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
  // The page's own files and this one script; Swagger UI sets styles of elements itself.
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
  summary: 'This document',
  who: 'anyone',
  answers: { 200: z.looseObject({ openapi: z.string() }) },
})

const readPage = operation({
  summary: 'This document as a page',
  who: 'anyone',
  answers: { 200: 'text/html' },
})

const readFile = operation({
  summary: 'What that page is made of',
  who: 'anyone',
  params: { file: z.enum(FILES) },
  answers: { 200: '*/*' },
})
