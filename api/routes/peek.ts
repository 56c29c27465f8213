import type { z } from 'zod'

/**
 * Parses the part of a body on which permissions depend, before the whole body is validated. Returns
 * undefined if that part is missing or invalid.
 */
export const peek = <S extends z.ZodType>(schema: S, body: unknown): z.output<S> | undefined =>
  schema.safeParse(body ?? {}).data
