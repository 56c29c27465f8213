import { z } from 'zod'
import { atMost, listOf, reference, storable } from './field.ts'

const MAX_SEARCH_TERM = 200
const MAX_WORD = 200
const MAX_REFERENCES = 200

/** The last value of a parameter that may be repeated. An empty value counts as missing. */
export const parameter = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (Array.isArray(value) ? value.at(-1) : value) || undefined, schema)

/** A positive integer, capped at the largest safe integer. */
const positive = z
  .string()
  .check(atMost(MAX_WORD))
  .regex(/^0*[1-9]\d*$/)
  .transform((digits) => Math.min(Number(digits), Number.MAX_SAFE_INTEGER))

/** A text to search for. */
export const searchTerm = parameter(storable.check(atMost(MAX_SEARCH_TERM)).optional())

/** A flag: true for any value, even `false`. */
export const given = parameter(z.string().check(atMost(MAX_WORD)).optional()).transform(
  (word) => word !== undefined,
)

/** The number of a page, from 1. An invalid number becomes 1. */
export const page = parameter(positive.catch(1))

/** The size of a page, from 1 to 100. An invalid number becomes the default. */
export const pageSize = (byDefault: number) =>
  parameter(positive.pipe(z.number().max(100)).catch(byDefault))

/** An optional filter. Clients send `All` for no filter. */
export const orAll = <S extends z.ZodType>(schema: S) =>
  parameter(z.preprocess((value) => (value === 'All' ? undefined : value), schema.optional()))

/** A boolean in any of the forms that Django accepts. */
export const yesOrNo = parameter(
  z
    .string()
    .check(atMost(MAX_WORD))
    .toLowerCase()
    .pipe(z.enum(['true', 't', '1', 'false', 'f', '0'], 'Must be a valid boolean.'))
    .transform((word) => ['true', 't', '1'].includes(word))
    .optional(),
)

/** A year, or another integer of at most nine digits. */
export const count = z
  .string()
  .regex(/^\d{1,9}$/, 'A valid integer is required.')
  .transform(Number)

/** Ids separated by commas. */
export const references = z
  .string()
  .check(atMost(MAX_REFERENCES * 20))
  .transform((list): (string | number)[] =>
    list
      .split(',')
      .map((id) => id.trim())
      .filter((id) => id !== ''),
  )
  .pipe(listOf(reference, MAX_REFERENCES))
