import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject } from 'zod-openapi'
import type { Access, Endpoint } from '../endpoints/index.ts'
import { HEADERS, headersNamed } from './headers.ts'
import { nameSchemas } from './schemas.ts'
import { TAGS, tagOf } from './tags.ts'

/** Endpoints by the path prefix at which they are mounted, such as `/api/v1`. */
export type Mounted = Readonly<Record<string, readonly Endpoint[]>>

/** Returns the OpenAPI document of endpoints. */
export function describeEndpoints(mounted: Mounted): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const [prefix, endpoints] of Object.entries(mounted)) {
    for (const endpoint of endpoints) {
      const { method, path } = endpoint
      const documented = `${prefix}${path}`.replaceAll(/:(\w+)/g, '{$1}')
      nameSchemas(idOf(endpoint), endpoint)
      paths[documented] = {
        ...paths[documented],
        [method]: describe(endpoint, { documented, isProbe: prefix === '' }),
      }
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

interface Kind {
  /** The whole path, such as `/api/v1/users/{id}`. */
  readonly documented: string
  /** Probes have no rate limit, and only the error responses that they declare. */
  readonly isProbe: boolean
}

const idOf = ({ method, path }: Endpoint) =>
  `${method} ${path}`.replaceAll(/\W+(\w?)/g, (_, first: string) => first.toUpperCase())

function describe(endpoint: Endpoint, { documented, isProbe }: Kind): ZodOpenApiOperationObject {
  const { summary, access, query, body, params, isConditional } = endpoint
  const schemas = Object.entries(params).map(([name, { schema }]) => [name, schema])
  const required = endpoint.isBodyOptional !== true
  return {
    summary,
    description: `${summary}. ${accessOf(access)}`,
    operationId: idOf(endpoint),
    tags: [isProbe ? 'health' : tagOf(documented)],
    security: access.kind === 'anyone' ? [] : [{ session: [] }, { bearer: [] }],
    requestParams: {
      ...(schemas.length > 0 && { path: z.object(Object.fromEntries(schemas)) }),
      ...(query && { query }),
      ...(isConditional && { header: ifMatch }),
    },
    ...(body && { requestBody: { required, content: contentOf(endpoint, body) } }),
    responses: {
      ...answersOf(endpoint, { isProbe }),
      ...(isProbe ? {} : problemsOf(endpoint)),
    },
  }
}

const contentOf = ({ acceptsForm }: Endpoint, schema: z.ZodType) => ({
  'application/json': { schema },
  ...(acceptsForm && { 'multipart/form-data': { schema } }),
})

function accessOf(access: Access): string {
  if (access.kind === 'anyone') return 'Requires no log-in.'
  return access.kind === 'user' ? 'Requires a log-in.' : `Allowed for ${access.description}.`
}

const ifMatch = z.object({
  'If-Match': z.string().optional().meta({
    description: 'Entity tags. The write is rejected with 412 unless the resource has one of them.',
  }),
})

function answersOf(
  { method, isConditional, isEmpty, ...endpoint }: Endpoint,
  { isProbe }: Pick<Kind, 'isProbe'>,
) {
  const isRead = method === 'get' && !isProbe
  const answers = Object.entries(endpoint.answers).map(([status, answer]) => [
    status,
    {
      description: [STATUS_CODES[status] ?? '', isEmpty && `no body ${isEmpty}`]
        .filter(Boolean)
        .join('; '),
      ...(isEmpty !== undefined && { 'x-may-be-empty': true }),
      headers: isProbe
        ? {}
        : headersNamed(
            'X-Request-Id',
            ...(isRead ? (['Cache-Status', 'ETag'] as const) : (['Consistency-Token'] as const)),
            ...(!isRead && isConditional && status !== '204' ? (['ETag'] as const) : []),
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

/** Returns the error responses that follow from the properties of an endpoint. */
function problemsOf({ method, path, access, query, answers, isConditional }: Endpoint) {
  const needsLogIn = access.kind !== 'anyone'
  const isWrite = method !== 'get'
  const applies = {
    400: isWrite || query !== undefined || path.includes(':'),
    // An invalid bearer token is rejected on public endpoints too.
    401: true,
    403: needsLogIn && isWrite,
    // The session or a body may also refer to a missing resource.
    404: path.includes(':') || needsLogIn,
    409: needsLogIn && isWrite,
    412: isConditional,
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
