import { z } from 'zod'

/** The id of a row. */
export const id = z.int().positive()

/** The path under which a stored file is served. */
export const fileUrl = z.string().startsWith('/files/')

/** An instant in Perth, with microseconds unless they are 0. */
export const perthTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?!000000)\d{6})?\+08:00$/)

/** An instant in UTC, with microseconds unless they are 0. */
export const utcTime = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?!000000)\d{6})?Z$/)

/** A day without a time. */
export const calendarDate = z.iso.date()

/** A page of a list, in the envelope that clients expect: `pageOf({ branches: z.array(branch) })`. */
export const pageOf = <Items extends z.ZodRawShape>(items: Items) =>
  z.strictObject({
    ...items,
    total_results: z.int().nonnegative(),
    total_pages: z.int().nonnegative(),
  })

/** A list without items. Not an empty tuple, which JSON Schema cannot express. */
export const noItems = z.array(z.never()).max(0)
