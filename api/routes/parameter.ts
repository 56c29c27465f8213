import { z } from 'zod'
import { storable } from './field.ts'

/** The last value of a parameter that may be repeated; one without a value is not there. */
export const parameter = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (Array.isArray(value) ? value.at(-1) : value) || undefined, schema)

/** Digits for 1 and more; beyond what a number holds exactly there is nothing to count. */
const positive = z
  .string()
  .regex(/^0*[1-9]\d*$/)
  .transform((digits) => Math.min(Number(digits), Number.MAX_SAFE_INTEGER))

/** What to search for. */
export const searchTerm = parameter(storable.optional())

/** The number of a page, from 1; whatever is no such number is 1. */
export const page = parameter(positive.catch(1))

/** How many items a page holds, up to 100; whatever is no such number is the default. */
export const pageSize = (byDefault: number) =>
  parameter(positive.pipe(z.number().max(100)).catch(byDefault))
