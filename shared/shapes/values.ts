import { z } from 'zod'

/** Id of a row. */
export const id = z.int().positive()

/** URL path of a stored file. */
export const fileUrl = z.string().startsWith('/files/')

/** An instant in Perth, with microseconds unless they are 0. */
export const perthTime = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?!000000)\d{6})?\+08:00$/)

/** An instant in UTC, with microseconds unless they are 0. */
export const utcTime = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(?!000000)\d{6})?Z$/)

/** A day without a time. */
export const calendarDate = z.iso.date()

/** Returns the shape of one page of a list, such as `pageOf({ branches: z.array(branch) })`. */
export const pageOf = <Items extends z.ZodRawShape>(items: Items) =>
  z.strictObject({
    ...items,
    total_results: z.int().nonnegative(),
    total_pages: z.int().nonnegative(),
  })

/** An empty list. It is no empty tuple, because JSON Schema cannot express one. */
export const noItems = z.array(z.never()).max(0)
