import type { z } from 'zod'

/**
 * Reads from a body what decides about access, before the whole body is validated; undefined where
 * that part is missing or malformed.
 */
export const peek = <S extends z.ZodType>(schema: S, body: unknown): z.output<S> | undefined =>
  schema.safeParse(body ?? {}).data
