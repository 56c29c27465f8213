import { z } from 'zod'

const MAX_INTEGER = 2 ** 31 - 1
const NOT_AN_INTEGER = 'A valid integer is required.'
const MAX_ID = 2n ** 63n - 1n

/** What is missing or null is called that. */
const notAnInteger = ({ input }: { readonly input?: unknown }) =>
  input == null ? undefined : NOT_AN_INTEGER

/** What Postgres can hold as text: no NUL, and no half of a surrogate pair. */
export const storable = z
  .string()
  .refine((value) => !value.includes('\0'), 'Null characters are not allowed.')
  .refine((value) => !/\p{Surrogate}/u.test(value), 'Surrogate characters are not allowed.')

/** The length of texts whose columns have no limit of their own. */
const MAX_TEXT = 20_000

/**
 * Accepts at most so many characters: code points, as in Postgres and JSON Schema. Later checks of a
 * longer text are skipped, so none of them runs on a text of any length.
 */
export function atMost(max: number) {
  const check = z.check<string>(({ value, issues }) => {
    if (value.length <= max || (value.length <= 2 * max && [...value].length <= max)) return
    const message = `Ensure this field has no more than ${max} characters.`
    issues.push({ code: 'custom', input: value, message, continue: false })
  })
  // What the OpenAPI document says of a string.
  const { _zod: internals } = check
  internals.onattach.push(({ _zod: { bag } }) => {
    bag['maximum'] = max
  })
  return check
}

/** Text of at most so many characters, trimmed. */
export const text = (max = MAX_TEXT) => storable.trim().check(atMost(max))

/** A short name for addresses. */
export const slug = text(50).regex(
  /^[-\w]*$/,
  'Enter a valid slug consisting of letters, numbers, underscores or hyphens.',
)

/** An e-mail address, or blank for none. */
export const email = text(254).refine(
  (value) => value === '' || z.regexes.email.test(value),
  'Enter a valid email address.',
)

/** A calendar date, such as `2026-02-28`; Postgres has no year 0. */
export const date = z.iso
  .date('Date has wrong format. Use one of these formats instead: YYYY-MM-DD.')
  .refine((value) => !value.startsWith('0000'), 'There is no year 0.')

/** Longer than any; Postgres keeps six digits of a second. */
const MAX_INSTANT = 40
const NO_INSTANT =
  'Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].'

/**
 * An instant, such as `2026-02-28T16:00:00+08:00`. Without an offset it is the time in Perth, and a
 * date is its first moment there.
 */
export const instant = z
  .union([z.iso.datetime({ offset: true, local: true }).check(atMost(MAX_INSTANT)), z.iso.date()], {
    error: ({ input }) => (input == null ? undefined : NO_INSTANT),
  })
  .transform((text) => {
    const timed = text.includes('T') ? text : `${text}T00:00:00`
    return new Date(/(Z|[+-]\d\d:\d\d)$/.test(timed) ? timed : `${timed}+08:00`)
  })
  .refine((at) => at.getUTCFullYear() > 0, 'There is no year 0.')

/** An instant that is still to come. */
export const futureInstant = instant.refine(
  (at) => at.getTime() > Date.now(),
  'End date cannot be in the past',
)

/** An integer that fits its column. */
export const integer = (min: number) =>
  z
    .int({ error: notAnInteger })
    .min(min, `Ensure this value is greater than or equal to ${min}.`)
    .max(MAX_INTEGER, `Ensure this value is less than or equal to ${MAX_INTEGER}.`)

/** The id of another row, as canonical decimal text. */
export const reference = z
  .union(
    [
      z.int(NOT_AN_INTEGER).nonnegative(NOT_AN_INTEGER),
      z.string().regex(/^\d{1,19}$/, NOT_AN_INTEGER),
    ],
    { error: notAnInteger },
  )
  .transform(BigInt)
  .refine((id) => id <= MAX_ID, {
    error: ({ input }) => `Invalid pk "${String(input)}" - object does not exist.`,
  })
  .transform(String)

/** A list of at most so many items. */
export const listOf = <S extends z.ZodType>(item: S, max: number) =>
  z.array(item).max(max, `Ensure this list has no more than ${max} items.`)

/** An object whose nulls count as not sent, for saves that cannot clear a value. */
export const ignoringNulls = <S extends z.ZodType>(schema: S) =>
  z.preprocess(
    (body) =>
      typeof body === 'object' && body !== null && !Array.isArray(body)
        ? Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
        : body,
    schema,
  )

/** An object in which fields may also stand under other names, which some clients use. */
export const alsoNamed = <S extends z.ZodType>(
  names: Readonly<Record<string, string>>,
  schema: S,
) =>
  z.preprocess(
    (body) =>
      typeof body === 'object' && body !== null && !Array.isArray(body)
        ? Object.fromEntries(
            Object.entries(body).map(([name, value]) => [names[name] ?? name, value]),
          )
        : body,
    schema,
  )
