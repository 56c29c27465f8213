import { z } from 'zod'
import { PublicError } from '../../shared/errors.ts'
import { parseId } from '../parse.ts'

/** A parameter of a path. */
export interface PathParameter {
  /** The schema in the OpenAPI document. */
  readonly schema: z.ZodType
  /**
   * Parses the segment of the path.
   * @throws PublicError `not_found`.
   */
  readonly parse: (text: string) => string
  /** The entity that an id belongs to, in messages. */
  readonly entity?: string
  /** Whether it is the rest of the path with its slashes, instead of one segment. */
  readonly spansSegments?: true
}

/** The names of the parameters in a path: `'id'` for `/agencies/branches/:id`. */
type Names<Path extends string> = Path extends `${string}:${infer Rest}`
  ? Rest extends `${infer Name}/${infer More}`
    ? Name | Names<More>
    : Rest
  : never

/** The parsed parameters of a path by name. */
export type ParamsOf<Path extends string> = { readonly [Name in Names<Path>]: string }

/** The declaration of every parameter of a path; nothing for a path without parameters. */
export type Declared<Path extends string> = [Names<Path>] extends [never]
  ? { readonly params?: undefined }
  : { readonly params: { readonly [Name in Names<Path>]: PathParameter } }

/** Any number of digits: an id that is too large is rejected with 404, not with 400. */
const idSchema = z.string().regex(/^\d+$/).meta({ description: 'An id.' })

/** An id of an entity, parsed to decimal text without leading zeros. */
export const idOf = (entity: string): PathParameter => ({
  schema: idSchema,
  parse: (text) => parseId(text, entity),
  entity,
})

/** One of several words. */
export const oneOf = (words: readonly [string, ...string[]]): PathParameter => ({
  schema: z.enum(words),
  parse(text) {
    if (words.includes(text)) return text
    throw new PublicError('not_found', 'Not found.')
  },
})
