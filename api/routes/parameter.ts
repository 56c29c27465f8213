import { z } from 'zod'
import { storable } from './field.ts'

/** The last value of a parameter that may be repeated; one without a value is not there. */
export const parameter = <S extends z.ZodType>(schema: S) =>
  z.preprocess((value) => (Array.isArray(value) ? value.at(-1) : value) || undefined, schema)

const positive = (max: number) =>
  z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(1).max(max))

/** What to search for. */
export const searchTerm = parameter(storable.optional())

/** The number of a page, from 1; whatever is no such number is 1. */
export const page = parameter(positive(Number.MAX_SAFE_INTEGER).catch(1))

/** How many items a page holds, up to 100; whatever is no such number is the default. */
export const pageSize = (byDefault: number) => parameter(positive(100).catch(byDefault))
