import { STATUS_CODES } from 'node:http'
import type { Router } from 'express'
import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject } from 'zod-openapi'
import { HEADERS, headersNamed } from './headers.ts'
import type { Operation } from './operation.ts'
import { routesOf } from './routes.ts'
import { nameSchemas } from './schemas.ts'
import { TAGS, tagOf } from './tags.ts'

/** Routers by the path prefix at which they are mounted, such as `/api/v1`. */
export type Mounted = Readonly<Record<string, Router>>

/** Returns the OpenAPI document of all routes that have an `operation`. */
export function describeRoutes(mounted: Mounted): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const [prefix, router] of Object.entries(mounted)) {
    for (const { method, path, operation } of routesOf(router)) {
      if (operation === undefined) continue
      const documented = `${prefix}${path}`.replaceAll(/:(\w+)/g, '{$1}')
      const described = { method, path, operation, isProbe: prefix === '' }
      nameSchemas(idOf(described), operation)
      paths[documented] = { ...paths[documented], [method]: describe(described) }
    }
  }
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'SPMS API',
      version: '1',
      description:
        'Science projects, the people who work on them, and their public pages. ' +
        '`HEAD` is supported wherever `GET` is. Errors are RFC 9457 problems. The response to a successful write ' +
        'has a `Consistency-Token`, also as a cookie: a client that returns it reads its own writes.',
      contact: { name: 'The maintainers of the SPMS API' },
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This server.' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      headers: HEADERS,
      securitySchemes: {
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'spms_session',
          description:
            'Set by a log-in; over TLS its name is `__Host-spms_session`. An unsafe request must also send the value ' +
            'of the cookie `spmscsrf` in `X-CSRFToken`.',
        },
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            'A token of the configured issuer. It takes precedence over the session cookie.',
        },
      },
    },
  })
}

/** One method of a route. */
interface Described {
  readonly method: string
  /** Such as `/agencies/branches/:id`. */
  readonly path: string
  readonly operation: Operation
  /** Probes have no rate limit, and only the error responses in their operation. */
  readonly isProbe: boolean
}

const idOf = ({ method, path }: Pick<Described, 'method' | 'path'>) =>
  `${method} ${path}`.replaceAll(/\W+(\w?)/g, (_, first: string) => first.toUpperCase())

function describe(described: Described): ZodOpenApiOperationObject {
  const { path, operation, isProbe } = described
  const { summary, who, query, body, bodyType = 'application/json', params = {} } = operation
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  const id = idOf(described)
  const required = operation.isBodyOptional !== true
  return {
    summary,
    description: `${summary}. ${accessOf(who)}`,
    operationId: id,
    tags: [isProbe ? 'health' : tagOf(path)],
    security: who === 'anyone' ? [] : [{ session: [] }, { bearer: [] }],
    requestParams: {
      ...(names.length > 0 && {
        path: z.object(Object.fromEntries(names.map((name) => [name, params[name] ?? pathId]))),
      }),
      ...(query && { query }),
      ...(isConditional(described) && { header: ifMatch }),
    },
    ...(body && { requestBody: { required, content: { [bodyType]: { schema: body } } } }),
    responses: { ...answersOf(described), ...(isProbe ? {} : problemsOf(described)) },
  }
}

function accessOf(who: string): string {
  if (who === 'anyone') return 'Requires no log-in.'
  return who === 'users' ? 'Requires a log-in.' : `Allowed for ${who}.`
}

/** Any number of digits: an id that is too large is rejected with 404, not with 400. */
const pathId = z.string().regex(/^\d+$/).meta({ description: 'An id.' })

const ifMatch = z.object({
  'If-Match': z.string().optional().meta({
    description: 'Entity tags. The write is rejected with 412 unless the resource has one of them.',
  }),
})

/** Whether an operation checks `If-Match`. */
const isConditional = ({ method, operation }: Pick<Described, 'method' | 'operation'>) =>
  operation.isConditional ?? (method === 'put' || method === 'delete')

function answersOf(described: Described) {
  const { method, operation, isProbe } = described
  const isRead = method === 'get' && !isProbe
  const answers = Object.entries(operation.answers).map(([status, answer]) => [
    status,
    {
      description: [STATUS_CODES[status] ?? '', operation.isEmpty && `no body ${operation.isEmpty}`]
        .filter(Boolean)
        .join('; '),
      ...(operation.isEmpty !== undefined && { 'x-may-be-empty': true }),
      headers: isProbe
        ? {}
        : headersNamed(
            'X-Request-Id',
            ...(isRead ? (['Cache-Status', 'ETag'] as const) : (['Consistency-Token'] as const)),
            ...(!isRead && isConditional(described) && status !== '204' ? (['ETag'] as const) : []),
            ...(status === '201' ? (['Location', 'ETag'] as const) : []),
          ),
      ...(typeof answer === 'string' && { content: { [answer]: {} } }),
      ...(answer !== null &&
        typeof answer === 'object' && { content: { 'application/json': { schema: answer } } }),
    },
  ])
  const notModified = {
    description: STATUS_CODES[304] ?? '',
    headers: headersNamed('X-Request-Id', 'ETag'),
  }
  return { ...Object.fromEntries(answers), ...(isRead && { 304: notModified }) }
}

/** Returns the error responses that follow from the properties of an operation. */
function problemsOf(described: Described) {
  const { method, path, operation } = described
  const { who, query, answers } = operation
  const needsLogIn = who !== 'anyone'
  const isWrite = method !== 'get'
  const applies = {
    400: isWrite || query !== undefined || path.includes(':'),
    // An invalid bearer token is rejected on public endpoints too.
    401: true,
    403: needsLogIn && isWrite,
    // The session or a body may also refer to a missing resource.
    404: path.includes(':') || needsLogIn,
    409: needsLogIn && isWrite,
    412: isConditional(described),
    // Writes without a body in the document also reject an invalid one.
    413: isWrite,
    415: isWrite,
    429: true,
    500: true,
    503: true,
  }
  return Object.fromEntries(
    Object.entries(PROBLEMS).filter(
      ([status]) => applies[Number(status) as keyof typeof applies] && !(status in answers),
    ),
  )
}

const problem = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    errors: z.record(z.string(), z.array(z.string())).optional(),
  })
  .meta({
    id: 'Problem',
    description:
      'An RFC 9457 problem. `errors` has the messages of each invalid field. They are repeated at the top level unless a name collides.',
  })

/** One object for each status: zod-openapi identifies components by object identity. */
const PROBLEMS = Object.fromEntries(
  [400, 401, 403, 404, 409, 412, 413, 415, 429, 500, 503].map((status) => {
    const description = STATUS_CODES[status] ?? ''
    return [
      status,
      {
        id: description.replaceAll(' ', ''),
        description,
        headers: headersNamed(
          'X-Request-Id',
          ...(status === 401 ? (['WWW-Authenticate'] as const) : []),
          ...(status === 429 || status === 503 ? (['Retry-After'] as const) : []),
        ),
        content: { 'application/problem+json': { schema: problem } },
      },
    ]
  }),
)
