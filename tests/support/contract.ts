import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { JsonSchema } from './json-schema-arbitrary.ts'

/** What an OpenAPI document says of an answer; a media type may have no schema. */
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

/** What was answered. */
export interface Answered {
  readonly method: string
  /** Without its query. */
  readonly path: string
  readonly status: number
  readonly type: string | undefined
  readonly text: string
}

/** Tells in which way an answer is not what the document says; null where it is. */
export type Contract = (answered: Answered) => string | null

/** Reads an OpenAPI 3.1 document. Answers of paths and methods that it does not name are not judged. */
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
  // As routers match: a fixed part goes before a variable one.
  templates.sort((a, b) => a.variables - b.variables)

  return ({ method, path, status, type, text }) => {
    // Node rejects what is not HTTP by itself, before any route.
    if (status === 400 && type === undefined && text === '') return null
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

/** An answer that stands elsewhere in the document, and where. */
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

/** A part of a JSON pointer in the fragment of a URI. */
const escaped = (part: string) =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

const describeErrors = (errors: readonly ErrorObject[] | null | undefined) =>
  (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ')
