import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { JsonSchema } from './json-schema-arbitrary.ts'

/** An answer in an OpenAPI document. A media type may have no schema. */
interface DescribedAnswer {
  readonly 'x-may-be-empty'?: boolean
  readonly content?: Readonly<Record<string, { readonly schema?: JsonSchema }>>
}

interface DescribedOperation {
  readonly responses: Readonly<Record<string, DescribedAnswer | { readonly $ref: string }>>
}

export interface Described {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** A request and its answer. */
export interface Answered {
  readonly method: string
  /** Path without the query. */
  readonly path: string
  readonly status: number
  readonly type: string | undefined
  readonly text: string
}

/** Returns how an answer differs from the document; null if it conforms. */
export type Contract = (answered: Answered) => string | null

/** Reads an OpenAPI 3.1 document. The contract accepts all answers of operations that it does not describe. */
export function readContract(document: Described): Contract {
  const ajv = new Ajv2020({ strict: false, allErrors: false })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'openapi', ...document })
  const validators = new Map<JsonSchema, ValidateFunction>()
  const validatorOf = (pointer: string, schema: JsonSchema): ValidateFunction => {
    const known = validators.get(schema) ?? ajv.compile({ $ref: `openapi#${pointer}` })
    validators.set(schema, known)
    return known
  }
  const templates = Object.keys(document.paths).map((path) => ({
    path,
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    variables: path.split('{').length,
  }))
  // Fixed path parts take precedence over variables, as in routers.
  templates.sort((a, b) => a.variables - b.variables)

  return ({ method, path, status, type, text }) => {
    // Node rejects malformed and oversized headers itself, before any route.
    if ([400, 431].includes(status) && type === undefined && text === '') return null
    const template = templates.find(({ pattern }) => pattern.test(path))?.path
    const verb = method.toLowerCase()
    const operation = template && document.paths[template]?.[verb]
    if (!template || !operation) return null
    const [pointer, answer] = follow(
      document,
      ['paths', template, verb, 'responses', `${status}`],
      operation.responses[`${status}`],
    )
    if (!answer) return `${status} is not described`
    if (text === '' && answer['x-may-be-empty'] === true) return null
    const media = type?.split(';')[0] ?? ''
    if (!answer.content) return text === '' ? null : `${status} has a body, which is not described`
    const content = answer.content[media]
    if (!content) return `${status} as ${media} is not described`
    if (!content.schema) return null
    const validate = validatorOf(
      [...pointer, 'content', media, 'schema']
        .map(escaped)
        .map((part) => `/${part}`)
        .join(''),
      content.schema,
    )
    return validate(JSON.parse(text)) ? null : describeErrors(validate.errors)
  }
}

/** Resolves a `$ref`. Returns the JSON pointer and the answer. */
function follow(
  document: Described,
  pointer: readonly string[],
  answer: DescribedAnswer | { readonly $ref: string } | undefined,
): [readonly string[], DescribedAnswer | undefined] {
  if (!answer || !('$ref' in answer)) return [pointer, answer]
  const parts = answer.$ref.replace('#/', '').split('/')
  const found = parts.reduce<unknown>(
    (object, part) => (object as Record<string, unknown>)[part],
    document,
  )
  return [parts, found as DescribedAnswer]
}

/** Escapes a part of a JSON pointer in a URI fragment. */
const escaped = (part: string) =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

const describeErrors = (errors: readonly ErrorObject[] | null | undefined) =>
  (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ')
