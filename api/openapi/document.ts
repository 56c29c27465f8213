import { STATUS_CODES } from 'node:http'
import type { Router } from 'express'
import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject } from 'zod-openapi'
import { businessArea } from '../../shared/shapes/business-area.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { project } from '../../shared/shapes/project.ts'
import { tinyProject } from '../../shared/shapes/tiny-project.ts'
import type { Operation } from './operation.ts'
import { routesOf } from './routes.ts'

/** What is mounted where: routers by a prefix such as `/api/v1`. */
export type Mounted = Readonly<Record<string, Router>>

/** The OpenAPI document of every route that says what it takes and answers. */
export function describeRoutes(mounted: Mounted): object {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {}
  for (const [prefix, router] of Object.entries(mounted)) {
    for (const { method, path, operation } of routesOf(router)) {
      if (operation === undefined) continue
      const documented = `${prefix}${path}`.replaceAll(/:(\w+)/g, '{$1}')
      paths[documented] = {
        ...paths[documented],
        [method]: {
          ...describe(method, path, operation),
          // What stands outside is for monitors: no limit, and no problems but those it names.
          ...(prefix === '' && { tags: ['health'], responses: answersOf(operation) }),
        },
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
        '`HEAD` works where `GET` does. Errors are RFC 9457 problems. What has written answers with ' +
        'a `Consistency-Token`, also as a cookie: who sends it back sees that in all they read.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: {
        BusinessArea: businessArea,
        Member: tinyMember,
        Project: project,
        TinyProject: tinyProject,
      },
      securitySchemes: {
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'spms_session',
          description:
            'Set by logging in; over TLS its name is `__Host-spms_session`. What is not safe needs the value of the cookie `spmscsrf` in `X-CSRFToken` too.',
        },
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'Of the configured issuer. It stands before any cookie.',
        },
      },
    },
  })
}

function describe(method: string, path: string, operation: Operation): ZodOpenApiOperationObject {
  const { summary, who, query, body, bodyType = 'application/json', params = {} } = operation
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name)
  return {
    summary,
    operationId: `${method} ${path}`.replaceAll(/\W+(\w?)/g, (_, first: string) =>
      first.toUpperCase(),
    ),
    tags: [path.split('/')[1] ?? ''],
    ...(who !== 'anyone' && who !== 'users' && { description: `For ${who}.` }),
    security: who === 'anyone' ? [] : [{ session: [] }, { bearer: [] }],
    requestParams: {
      ...(names.length > 0 && {
        path: z.object(Object.fromEntries(names.map((name) => [name, params[name] ?? pathId]))),
      }),
      ...(query && { query }),
    },
    ...(body && { requestBody: { required: true, content: { [bodyType]: { schema: body } } } }),
    responses: { ...answersOf(operation), ...problemsOf(method, path, operation) },
  }
}

/** Digits, which may be more than any row has. */
const pathId = z.string().regex(/^\d+$/)

const answersOf = ({ answers }: Operation) =>
  Object.fromEntries(
    Object.entries(answers).map(([status, answer]) => [
      status,
      {
        description: STATUS_CODES[status] ?? '',
        ...(typeof answer === 'string' && { content: { [answer]: {} } }),
        ...(answer !== null &&
          typeof answer === 'object' && { content: { 'application/json': { schema: answer } } }),
      },
    ]),
  )

/** The problems that follow from what an operation is. */
function problemsOf(method: string, path: string, { who, query, body, answers }: Operation) {
  const isClosed = who !== 'anyone'
  const isWrite = method !== 'get'
  const happens = {
    400: query !== undefined || body !== undefined,
    401: isClosed,
    403: isClosed && isWrite,
    404: path.includes(':'),
    409: isClosed && isWrite,
    413: body !== undefined,
    415: body !== undefined,
    429: true,
    503: true,
  }
  return Object.fromEntries(
    Object.entries(PROBLEMS).filter(
      ([status]) => happens[Number(status) as keyof typeof happens] && !(status in answers),
    ),
  )
}

const problem = z.looseObject({ title: z.string(), status: z.int(), detail: z.string() }).meta({
  id: 'Problem',
  description: 'Wrong fields stand beside `detail`, each with a list of messages.',
})

/** One object for each status: they are told apart by identity. */
const PROBLEMS = Object.fromEntries(
  [400, 401, 403, 404, 409, 413, 415, 429, 503].map((status) => {
    const description = STATUS_CODES[status] ?? ''
    return [
      status,
      {
        id: description.replaceAll(' ', ''),
        description,
        content: { 'application/problem+json': { schema: problem } },
      },
    ]
  }),
)
